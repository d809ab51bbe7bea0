"""The exports of experiments: one by the API, several in one file by the command line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from app.errors import NotNow, Unknown
from app.experiments.checks import WORDS
from app.lab import Lab
from app.report import experiment_junit, html
from app.report.export import Export, by_flag
from app.report.series_csv import cell
from app.schemas.experiment import ExperimentView
from app.schemas.run import RunView
from app.statistics.decision import error_summary

FORMAT, SCHEMA = "threadlab-experiment", 1  # see app/report/bundle.py
COLUMNS = ("experiment", "claim", "cell", "round", "position", "entry", "run", "verdict", "figure", "value")
_VIEW = TypeAdapter(ExperimentView)
_RUN = TypeAdapter(RunView)


def to_json(view: ExperimentView) -> dict[str, Any]:
    """Return an experiment as the API returns it."""
    found: dict[str, Any] = _VIEW.dump_python(view, mode="json")
    return found


def write_csv(views: Sequence[ExperimentView]) -> str:
    """Return one row for each figure of each trial, in the order of execution. Empty: unknown."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow((*COLUMNS, "void"))
    for view in views:
        for each in view.rounds:
            for position, trial in enumerate(each.trials, 1):
                at = (view.id, view.claim, each.cell, each.number, position, trial.entry, trial.run)
                for figure, value in trial.values.items():
                    row = (*at, trial.verdict, figure, value, trial.void.get(figure))
                    writer.writerow(map(cell, row))
    return file.getvalue()


def write_html(views: Sequence[ExperimentView]) -> str:
    """Return the answers as one self-contained HTML file, in the order of the views."""
    tests = sum(result.b is not None for view in views for result in view.ratios)
    template = html.environment().get_template("report/experiments.html")
    return template.render(views=views, words=WORDS, error_summary=error_summary(tests) if tests else "")


def _bundle(lab: Lab, id: int) -> str:
    view = _ended(lab, id)
    document = {
        "format": FORMAT,
        "schema": SCHEMA,
        "experiment": to_json(view),
        "runs": [_RUN.dump_python(run, mode="json") for run in _stored_runs(lab, view)],
    }
    return json.dumps(document)


def _stored_runs(lab: Lab, view: ExperimentView) -> list[RunView]:
    """Return the runs of an experiment, without those that were deleted."""
    found = []
    for run in view.runs:
        try:
            found.append(lab.runs.get(run))
        except Unknown:
            continue
    return found


def _ended(lab: Lab, id: int) -> ExperimentView:
    """Return an experiment that has ended. Raises Unknown, and NotNow while it is active."""
    view = lab.experiments.get(id)
    if view.state.is_unfinished:
        raise NotNow(f"Experiment {id} is {view.state}; it can be exported when it has ended.")
    return view


EXPORTS = (
    Export(
        "experiment",
        "report",
        ".html",
        "text/html",
        title="Report",
        contents="HTML, one file",
        description="HTML report: one self-contained file with answer, ratios and rounds, without scripts.",
        make=lambda lab, id: write_html([_ended(lab, id)]),
        flag="html",
    ),
    Export(
        "experiment",
        "bundle",
        ".json",
        "application/json",
        title="Bundle",
        contents="JSON, all data with its runs",
        description="All stored data as one JSON document: the experiment and its runs.",
        make=_bundle,
    ),
    Export(
        "experiment",
        "csv",
        ".csv",
        "text/csv",
        title="CSV",
        contents="one row per figure and trial",
        description="The trials as CSV, one row for each figure. An empty cell is an unknown value.",
        make=lambda lab, id: write_csv([_ended(lab, id)]),
        flag="csv",
    ),
    Export(
        "experiment",
        "junit",
        ".junit.xml",
        "application/xml",
        title="JUnit",
        contents="XML, the claim as a test case",
        description="The claim as a JUnit test case; it fails if the answer is not the predicted one.",
        make=lambda lab, id: experiment_junit.write([_ended(lab, id)]),
        flag="junit",
    ),
)
FLAGS = by_flag(EXPORTS)
