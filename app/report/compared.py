"""What of a comparison can be taken away as a file. Only of one that has ended."""

from __future__ import annotations

import csv as stdlib_csv
import io
import json
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from app.errors import NotNow, Unknown
from app.lab import Lab
from app.report import comparing, html, junit
from app.report.csv import cell
from app.report.exports import Export
from app.schemas.comparison import ComparisonView, Trial
from app.schemas.run import RunView

FORMAT, SCHEMA = "threadlab-comparison", 1  # as those of a run's bundle
COLUMNS = tuple(each.name for each in fields(Trial) if each.name not in ("entry", "thresholds"))
_VIEW = TypeAdapter(ComparisonView)
_RUN = TypeAdapter(RunView)


def to_json(view: ComparisonView) -> dict[str, Any]:
    """A comparison as the API gives it."""
    found: dict[str, Any] = _VIEW.dump_python(view, mode="json")
    return found


def _csv(lab: Lab, id: int) -> str:
    """A row a trial, in the order in which they went; an empty cell is unknown."""
    view = _ended(lab, id)
    file = io.StringIO(newline="")
    writer = stdlib_csv.writer(file)
    writer.writerow(("entry", "name", "model", "knobs", *COLUMNS))
    for trial in view.runs:
        entry = view.entries[trial.entry]
        knobs = " ".join(f"{name}={value}" for name, value in entry.knobs.items())
        row = (entry.letter, entry.name, entry.model, knobs, *(getattr(trial, name) for name in COLUMNS))
        writer.writerow(map(cell, row))
    return file.getvalue()


def _junit(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    return junit.write_comparison(view, {run.id: run for run in _kept(lab, view)})


def _bundle(lab: Lab, id: int) -> str:
    """Everything that is kept of it: its view, the merged percentiles, and its runs as the API gives them."""
    view = _ended(lab, id)
    runs = [_RUN.dump_python(run, mode="json") for run in _kept(lab, view)]
    document = {
        "format": FORMAT,
        "schema": SCHEMA,
        "comparison": to_json(view),
        "runs": runs,
        "percentiles": lab.comparisons.percentiles(id),
    }
    return json.dumps(document)


def _report(lab: Lab, id: int) -> str:
    """One HTML file with its pictures; like a run's it has its style inside, no script, and asks for nothing."""
    view = _ended(lab, id)
    return (
        html.environment()
        .get_template("report_comparison.html")
        .render(
            view=view,
            intervals=comparing.intervals(view),
            rows=comparing.ROWS,
            curves=comparing.curves(lab.comparisons.percentiles(id)),
        )
    )


def _kept(lab: Lab, view: ComparisonView) -> list[RunView]:
    """Its runs, but for those that were deleted."""
    found = []
    for trial in view.runs:
        try:
            found.append(lab.runs.get(trial.run))
        except Unknown:
            continue
    return found


def _ended(lab: Lab, id: int) -> ComparisonView:
    view = lab.comparisons.get(id)
    if view.state.is_unfinished:
        raise NotNow(f"Comparison {id} is {view.state}; it can be exported when it has ended.")
    return view


CSV = Export("csv", ".csv", _csv, "comparison")
JUNIT = Export("junit", ".junit.xml", _junit, "comparison")
BUNDLE = Export("bundle", ".json", _bundle, "comparison")
REPORT = Export("report", ".html", _report, "comparison")
FLAGS = {"csv": CSV, "junit": JUNIT, "html": REPORT}
