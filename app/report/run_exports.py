"""The exports of a run, made from stored data. Only a finished, stopped or failed run can be exported."""

from __future__ import annotations

from app.errors import NotNow
from app.lab import Lab
from app.report import bundle, html, junit, perfetto, series_csv
from app.report.export import Export, by_flag
from app.schemas.run import RunView


def _csv(lab: Lab, id: int) -> str:
    view, series = _ended(lab, id), lab.runs.series(id)
    if not series["columns"]:
        raise NotNow(f"Run {id} is {view.state} and has no series.")
    return series_csv.write(series)


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
    """Return a run that has ended. Raises Unknown, and NotNow while it is active."""
    view = lab.runs.get(id)
    if view.state.is_unfinished:
        raise NotNow(f"Run {id} is {view.state}; it can be exported when it has ended.")
    return view


EXPORTS = (
    Export(
        "run",
        "report",
        ".html",
        "text/html",
        title="Report",
        contents="HTML, one file with charts",
        description="HTML report: one self-contained file with verdict, charts and tables, without scripts.",
        make=_report,
        flag="html",
    ),
    Export(
        "run",
        "bundle",
        ".json",
        "application/json",
        title="Bundle",
        contents="JSON, all data of this run",
        description="All stored data as one JSON document: run, series, percentiles and histograms.",
        make=_bundle,
    ),
    Export(
        "run",
        "csv",
        ".csv",
        "text/csv",
        title="CSV",
        contents="one row per second",
        description="The series as CSV, one row per second. An empty cell is an unknown value.",
        make=_csv,
        flag="csv",
        needs_result=True,
    ),
    Export(
        "run",
        "junit",
        ".junit.xml",
        "application/xml",
        title="JUnit",
        contents="XML, thresholds as test cases",
        description="Thresholds as JUnit test cases; a breached threshold is a failure.",
        make=_junit,
        flag="junit",
    ),
    Export(
        "run",
        "perfetto",
        ".perfetto.json",
        "application/json",
        title="Perfetto",
        contents="Chrome trace, counters and traced threads",
        description="Chrome trace for ui.perfetto.dev: counters, and thread states if the run was traced.",
        make=_perfetto,
        flag="perfetto",
        needs_result=True,
    ),
)
FLAGS = by_flag(EXPORTS)
