"""The exports of a comparison. Only a comparison that has ended can be exported."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from app.errors import NotNow, Unknown
from app.lab import Lab
from app.report import comparison_charts, html, junit
from app.report.exclusions import shared_reasons
from app.report.export import Export, by_flag
from app.report.series_csv import cell
from app.schemas.comparison import ComparisonTrial, ComparisonView
from app.schemas.run import RunView

FORMAT, SCHEMA = "threadlab-comparison", 1  # see app/report/bundle.py
COLUMNS = tuple(each.name for each in fields(ComparisonTrial) if each.name not in ("entry", "thresholds"))
_VIEW = TypeAdapter(ComparisonView)
_RUN = TypeAdapter(RunView)


def to_json(view: ComparisonView) -> dict[str, Any]:
    """Return a comparison as the API returns it."""
    found: dict[str, Any] = _VIEW.dump_python(view, mode="json")
    return found


def _csv(lab: Lab, id: int) -> str:
    """Return one row per trial, in the order of execution. An empty cell is an unknown value."""
    view = _ended(lab, id)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("entry", "name", "model", "knobs", *COLUMNS))
    for trial in view.runs:
        entry = view.entries[trial.entry]
        knobs = " ".join(f"{name}={value}" for name, value in entry.knobs.items())
        row = (entry.letter, entry.name, entry.model, knobs, *(getattr(trial, name) for name in COLUMNS))
        writer.writerow(map(cell, row))
    return file.getvalue()


def _junit(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    return junit.write_comparison(view, {run.id: run for run in _stored_runs(lab, view)})


def _bundle(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    document = {
        "format": FORMAT,
        "schema": SCHEMA,
        "comparison": to_json(view),
        "runs": [_RUN.dump_python(run, mode="json") for run in _stored_runs(lab, view)],
        "percentiles": lab.comparisons.percentiles(id),
    }
    return json.dumps(document)


def _report(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    template = html.environment().get_template("report/comparison.html")
    return template.render(
        view=view,
        intervals=comparison_charts.intervals(view),
        rows=comparison_charts.ROWS,
        reasons=shared_reasons(view.runs),
        curves=comparison_charts.curves(lab.comparisons.percentiles(id)),
    )


def _stored_runs(lab: Lab, view: ComparisonView) -> list[RunView]:
    """Return the runs of a comparison, without those that were deleted."""
    found = []
    for trial in view.runs:
        try:
            found.append(lab.runs.get(trial.run))
        except Unknown:
            continue
    return found


def _ended(lab: Lab, id: int) -> ComparisonView:
    """Return a comparison that has ended. Raises Unknown, and NotNow while it is active."""
    view = lab.comparisons.get(id)
    if view.state.is_unfinished:
        raise NotNow(f"Comparison {id} is {view.state}; it can be exported when it has ended.")
    return view


EXPORTS = (
    Export(
        "comparison",
        "report",
        ".html",
        "text/html",
        title="Report",
        contents="HTML, one file with charts",
        description="HTML report: one self-contained file with charts and tables, without scripts.",
        make=_report,
        flag="html",
    ),
    Export(
        "comparison",
        "bundle",
        ".json",
        "application/json",
        title="Bundle",
        contents="JSON, all data with its runs",
        description="All stored data as one JSON document: comparison, merged percentiles and runs.",
        make=_bundle,
    ),
    Export(
        "comparison",
        "csv",
        ".csv",
        "text/csv",
        title="CSV",
        contents="one row per trial",
        description="The trials as CSV, one row each. An empty cell is an unknown value.",
        make=_csv,
        flag="csv",
    ),
    Export(
        "comparison",
        "junit",
        ".junit.xml",
        "application/xml",
        title="JUnit",
        contents="XML, thresholds as test cases",
        description="Thresholds as JUnit test cases, with one suite per run that is still stored.",
        make=_junit,
        flag="junit",
    ),
)
FLAGS = by_flag(EXPORTS)
