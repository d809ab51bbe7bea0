"""The chart of a capacity search: a point per trial, objective and capacity as labelled lines."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.pages.environment import page_environment
from app.report import html
from app.report.chart import BOTTOM, LEFT, RIGHT, TOP
from app.report.search_chart import SearchChart, search_chart
from app.schemas.capacity import Capacity, SearchStep
from app.schemas.states import RunState
from tests.app.stored_runs import stored_run


def step(rate_per_s: float, value_us: float | None, *, met: bool) -> SearchStep:
    seen = "unknown" if value_us is None else f"{value_us / 1e3:g} ms"
    because = "The objective was met." if met else f"p(99) was {seen}."
    return SearchStep(rate_per_s, 1, seen, 1.0, met, because, value_us)


STEPS = (step(500, 4_000, met=True), step(1000, 80_000, met=False), step(950, 19_000, met=True))
CAPACITY = Capacity("p(99)<20ms", 950, 1000, None, STEPS)


def chart_of(capacity: Capacity) -> SearchChart:
    found = search_chart(capacity)
    assert found
    return found


def test_each_trial_is_a_point_at_its_rate_and_latency() -> None:
    chart = chart_of(CAPACITY)
    assert [point.met for point in chart.points] == [True, False, True]
    first, second, third = chart.points
    assert LEFT < first.x < third.x < second.x < RIGHT
    assert TOP < second.y < chart.objective.at < third.y < first.y < BOTTOM
    assert second.text == "Trial 2: 1,000 req/s, p(99) 80 ms. p(99) was 80 ms."


def test_axes_have_titles_with_units_and_a_logarithmic_one_says_so() -> None:
    chart = chart_of(CAPACITY)
    assert (chart.x.title, chart.y.title) == ("Offered rate (req/s)", "p99 response time (ms, log scale)")
    near = replace(CAPACITY, objective="service_avg<20ms", steps=STEPS[::2])
    assert chart_of(near).y.title == "Mean service time (ms)"
    assert len(chart.x.ticks) > 2 and len(chart.y.ticks) > 2


def test_the_capacity_is_a_labelled_line_unless_no_rate_met_the_objective() -> None:
    chart = chart_of(CAPACITY)
    assert chart.capacity and chart.capacity.text == "capacity 950 req/s"
    assert chart.capacity.at == chart.points[2].x
    at_least = chart_of(replace(CAPACITY, failed_per_s=None)).capacity
    assert at_least and at_least.text == "capacity at least 950 req/s"
    none = chart_of(replace(CAPACITY, kept_per_s=None, steps=STEPS[1:2]))
    assert none.capacity is None and none.label.endswith("no rate met the objective")


def test_a_label_stays_inside_of_the_chart() -> None:
    flipped = chart_of(CAPACITY).capacity
    left = chart_of(replace(CAPACITY, kept_per_s=500)).capacity
    assert flipped and flipped.flips and left and not left.flips
    assert not chart_of(CAPACITY).objective.flips
    assert chart_of(replace(CAPACITY, steps=STEPS[::2])).objective.flips


def test_a_trial_without_a_value_is_named_below_the_chart() -> None:
    chart = chart_of(replace(CAPACITY, steps=(*STEPS, step(2000, None, met=False))))
    assert len(chart.points) == 3 and chart.note == "1 trial has no value for the chart: see the table."
    assert search_chart(None) is None
    assert search_chart(replace(CAPACITY, steps=(step(1, None, met=False),))) is None


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.FINISHED])
def test_the_page_has_chart_and_table_and_the_shape_tells_the_outcome(state: RunState) -> None:
    run = stored_run(capacity=CAPACITY, state=state)
    fragment = page_environment().get_template("fragments/run_search.html")
    text = fragment.render(run=run, trials_chart=search_chart(run.capacity))
    plot = text[text.index('<svg class="search-plot"') :]
    assert plot.count('class="met"') == 2 and plot.count('class="missed"') == 1
    for shown in ("met the objective", "missed it", "objective p(99)&lt;20ms", "capacity 950 req/s"):
        assert shown in text
    opened = re.search(r"<details[^>]*\bopen\b", text)
    assert text.count("<tr") == 4 and bool(opened) is (state is RunState.RUNNING)


def test_a_search_without_points_shows_its_table_at_once() -> None:
    run = stored_run(capacity=replace(CAPACITY, steps=(step(1, None, met=False),)))
    text = page_environment().get_template("fragments/run_search.html").render(run=run, trials_chart=None)
    assert "search-plot" not in text and re.search(r"<details[^>]*\bopen\b", text)


def test_the_report_has_the_same_chart() -> None:
    document = html.write(stored_run(capacity=CAPACITY), {"columns": (), "rows": []}, None)
    assert document.count('class="missed"') == 2, "a point and the legend"
    assert "objective p(99)&lt;20ms" in document and "Offered rate (req/s)" in document
