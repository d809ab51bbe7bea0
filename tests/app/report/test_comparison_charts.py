"""The rows of trials of a comparison have a common axis, and a reason of several trials is given once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.comparisons.aggregate import compute_result, measured_trial
from app.load.protocol import histogram
from app.pages.environment import page_environment
from app.report.chart import Axis
from app.report.comparison_charts import ROWS, Intervals, intervals
from app.report.exclusions import shared_reasons
from app.report.html import environment
from app.schemas.comparison import ComparisonEntry, ComparisonTrial, ComparisonView
from app.schemas.states import JobState
from tests.app.stored_runs import LEDGER, VIEW, stored_run

ENTRIES = (ComparisonEntry("A", "Reactor", "reactor", {}), ComparisonEntry("B", "Blocking", "blocking", {}))
LATE, ALONE = "It was late.", "It was interrupted."


def compared(metric: str = "cpu_us") -> ComparisonView:
    times = histogram.from_counts([(80, 1000)])
    trials = (
        measured_trial(metric, entry, number, stored_run(id=10 * entry + number, ledger=LEDGER), None)
        for entry in range(2)
        for number in range(1, 4)
    )
    ended = [replace(each, service=times, response=times) for each in trials]
    return ComparisonView(
        id=1,
        state=JobState.FINISHED,
        progress=1.0,
        left_s=None,
        label=None,
        view="equal-rate",
        title="Fixed rate",
        scenario=None,
        entries=ENTRIES,
        trials=3,
        plan=VIEW["plan"],
        plan_text="64 connections",
        thresholds=(),
        environment={},
        runs=tuple(each.trial for each in ended),
        current=None,
        result=compute_result(metric, ENTRIES, ended),
        failure=None,
        created_at=VIEW["created_at"],
        finished_at=VIEW["finished_at"],
    )


def excluded(view: ComparisonView, *reasons: str | None) -> ComparisonView:
    runs: tuple[ComparisonTrial, ...] = tuple(
        replace(trial, why_not=reason) for trial, reason in zip(view.runs, reasons, strict=True)
    )
    return replace(view, runs=runs)


def rows_of(view: ComparisonView) -> Intervals:
    found = intervals(view)
    assert found
    return found


def drawn(view: ComparisonView) -> dict[str, Any]:
    reasons = shared_reasons(view.runs)
    return {"intervals": intervals(view), "curves": None, "rows": ROWS, "reasons": reasons}


def page(view: ComparisonView) -> str:
    fragment = page_environment().get_template("fragments/comparison_result.html")
    return fragment.render(view=view, unfinished=False, **drawn(view))


def report(view: ComparisonView) -> str:
    return environment().get_template("report/comparison.html").render(view=view, **drawn(view))


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("cpu_us", "CPU per request (µs)"),
        ("achieved_per_s", "Throughput (req/s)"),
        ("p99_us", "P99 response time (µs)"),
        ("rss_bytes_peak", "Peak RSS (MiB)"),
        ("threads_peak", "Peak threads"),
    ],
)
def test_the_axis_has_a_title_with_the_unit_and_ticks(metric: str, title: str) -> None:
    axis = rows_of(compared(metric)).axis
    assert axis.title == title
    assert axis.ticks[0].text == "0" and len(axis.ticks) >= 3
    assert all(0 <= tick.at <= 100 for tick in axis.ticks)


def test_dots_and_ticks_are_on_the_same_axis() -> None:
    shown = rows_of(compared())
    axis: Axis = shown.axis
    [value] = {dot.at for row in shown.rows for dot in row.dots}
    tick = axis.ticks[-1]
    assert value == axis.place(12.5) == pytest.approx(tick.at * 12.5 / float(tick.text), abs=0.01)


@pytest.mark.parametrize("render", [page, report])
def test_a_reason_of_several_trials_is_given_once(render: Callable[[ComparisonView], str]) -> None:
    document = render(excluded(compared(), LATE, LATE, ALONE, LATE, None, None))
    assert document.count(LATE) == 1 and document.count(ALONE) == 1
    assert document.count("reason 1") == 3 and "Reason 1</b> (3 trials)" in " ".join(document.split())
    assert "CPU per request (µs)" in document


def test_reasons_are_numbered_in_the_order_of_their_trials() -> None:
    view = excluded(compared(), ALONE, LATE, None, ALONE, LATE, "Once.")
    assert shared_reasons(view.runs) == {ALONE: 1, LATE: 2}
    assert shared_reasons(()) == {}
