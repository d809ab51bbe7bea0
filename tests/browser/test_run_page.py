"""The page of a run: its charts, the trials of a capacity search, and a server stall."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.app.driver import LabProcess, plan

from .conftest import Opener
from .pages import drawn


def test_a_finished_run_has_its_charts_and_its_tables(visit: Opener) -> None:
    page = visit("/runs/1").page
    for chart in ("percentiles", "rate", "p99", "load", "cpu"):
        drawn(page.locator(f'[data-chart="{chart}"]'))
    page.locator('[data-chart="percentiles"] summary').click()
    expect(page.locator('[data-chart="percentiles"] [data-chart-table]')).to_contain_text("p50")
    expect(page.locator(".latency-table")).to_contain_text("p99.9")
    expect(page.locator(".breached")).to_contain_text("p(99)<1us")


def test_the_charts_of_a_short_run_end_with_its_measured_time(visit: Opener) -> None:
    """The run has 2 s of warm-up and 4 measured seconds; a row is drawn at its end."""
    page = visit("/runs/1").page
    page.locator('[data-chart="rate"] summary').click()
    rows = page.locator('[data-chart="rate"] [data-chart-table] th[scope=row]')
    expect(rows).to_have_text(["1", "2", "3", "4", "5", "6"])
    times = page.evaluate("""async () => {
        const { seriesTimes } = await import("/static/js/charts/series-times.js");
        const columns = ["t_s", "phase"];
        return [
            seriesTimes({ columns, rows: [[0, "warmup"], [0.5, "measure"]] }, 1),
            seriesTimes({ columns, rows: [[0, "measure"], [1, "measure"]] }, 1.25),
            seriesTimes({ columns, rows: [[0, "warmup"]] }, 0),
            seriesTimes({ columns, rows: [] }, 0),
        ];
    }""")
    assert times == [
        {"ends": [0.5, 1.5], "warmUpS": 0.5},
        {"ends": [1, 1.25], "warmUpS": 0},
        {"ends": [1], "warmUpS": 1},
        {"ends": [], "warmUpS": 0},
    ]


def test_a_run_with_one_second_has_points_in_its_charts(visit: Opener) -> None:
    """A line through one point is not visible."""
    tab = visit("/about")
    tab.page.route(
        "**/api/v1/runs/1/series",
        lambda route: route.fulfill(
            json={
                "columns": ["t_s", "phase", "achieved_per_s"],
                "rows": [[0, "measure", 100]],
                "started_ns": 0,
            }
        ),
    )
    tab.goto("/runs/1")
    drawn(tab.page.locator('[data-chart="rate"]'))


def test_a_stall_is_described_and_marked_in_the_charts(visit: Opener) -> None:
    page = visit("/runs/3").page
    expect(page.locator(".notice")).to_contain_text("coordinated omission")
    expect(page.locator("#run-main")).to_contain_text("Server paused for 300 ms")
    expect(page.get_by_text("Not ranked: Unsaturated. The engine was stalled on purpose.")).to_be_visible()
    expect(page.locator('[data-chart="p99"] h2')).to_have_text("Max latency per second")
    drawn(page.locator('[data-chart="p99"]'))


@pytest.mark.full
def test_the_trials_of_a_capacity_search_appear_one_by_one(visit: Opener, lab: LabProcess) -> None:
    # No rate meets this objective, so each trial has half the rate of the previous one and takes twice as
    # long for its hundred requests: three end within two seconds, the next ones take more than a minute.
    search = plan(0.5, 0, vus=4, executor="find-capacity", objective="p(50)<1us", rate_per_s=400)
    run = lab.submit(model="reactor", plan=search)["id"]
    page = visit(f"/runs/{run}").page
    trials = page.locator("#search tbody tr")
    for number in range(3):
        expect(trials.nth(number)).to_be_visible()
        going = lab.get(f"/runs/{run}")
        assert going["state"] == "running", "a trial is shown before the search has ended"
        step = going["capacity"]["steps"][number]
        expect(trials.nth(number)).to_contain_text(f"{step['rate_per_s']:,.6g}")
        expect(trials.nth(number)).to_contain_text(step["because"])
    expect(page.locator("#search")).to_contain_text("p(50)<1us")
    progress = page.locator(".in-progress .panel-head p").first
    expect(progress).to_have_text(re.compile(r"^\s*\d+ %\s*$"))  # the number of seconds is not known
    lab.post(f"/runs/{run}/stop")
    expect(page.locator("#search")).to_contain_text("Stopped before the search was complete.")
    expect(page.locator("#run-main")).to_contain_text("Stopped early")
