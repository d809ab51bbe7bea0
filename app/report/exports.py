"""What of a run can be taken away as a file, made from what the lab keeps. Only of a run that has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.errors import NotNow
from app.lab import Lab
from app.report import bundle, csv, html, junit, perfetto
from app.schemas.run import RunView


@dataclass(frozen=True, slots=True)
class Export:
    """A kind of file: the last part of its address, how its name ends, and what makes it."""

    part: str
    suffix: str
    make: Callable[[Lab, int], str]
    noun: str = "run"

    def file_name(self, id: int) -> str:
        return f"threadlab-{self.noun}-{id}{self.suffix}"


def _csv(lab: Lab, id: int) -> str:
    view, series = _ended(lab, id), lab.runs.series(id)
    if not series["columns"]:
        raise NotNow(f"Run {id} is {view.state} and has no series.")
    return csv.write(series)


def _junit(lab: Lab, id: int) -> str:
    return junit.write(_ended(lab, id))


def _report(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    return html.write(view, lab.runs.series(id), lab.runs.percentiles(id) if view.summary else None)


def _bundle(lab: Lab, id: int) -> str:
    view, runs = _ended(lab, id), lab.runs
    if view.summary is None:
        return bundle.write(view, runs.series(id), None, None, None)
    return bundle.write(
        view, runs.series(id), runs.percentiles(id), runs.histogram(id), lab.store.outcome(id)
    )


def _perfetto(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    if not (series := lab.runs.series(id))["columns"]:
        raise NotNow(f"Run {id} is {view.state} and has neither a series nor a trace.")
    return perfetto.write(view, series, lab.runs.recording(id))


def _ended(lab: Lab, id: int) -> RunView:
    view = lab.runs.get(id)
    if view.state.is_unfinished:
        raise NotNow(f"Run {id} is {view.state}; it can be exported when it has ended.")
    return view


CSV = Export("csv", ".csv", _csv)
JUNIT = Export("junit", ".junit.xml", _junit)
REPORT = Export("report", ".html", _report)
PERFETTO = Export("perfetto", ".perfetto.json", _perfetto)
BUNDLE = Export("bundle", ".json", _bundle)
