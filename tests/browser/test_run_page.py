"""A run's own page: the trials of a search as they come, what a stall hid, and marks where they happened."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.app.driver import LabProcess, plan

from .conftest import Opener

OPEN = "constant-arrival-rate"


def test_a_stall_is_told_in_words_and_marked_in_the_charts(visit: Opener, lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=plan(2.0, 0.2, executor=OPEN, rate_per_s=200, stall_ms=300))
    page = visit(f"/runs/{run['id']}").page
    expect(page.locator(".notice")).to_contain_text("coordinated omission")
    expect(page.locator("#run-main")).to_contain_text("Stalled for 300 ms")
    expect(page.get_by_text("Not ranked", exact=True)).to_be_visible()
    expect(page.locator('[data-chart="p99"] h2')).to_have_text("Longest each second")
    expect(page.locator('[data-chart="p99"] canvas')).to_be_visible()


def test_the_trials_of_a_search_come_one_by_one(visit: Opener, lab: LabProcess) -> None:
    search = plan(0.6, 0, executor="find-capacity", objective="p(50)<5s", rate_per_s=300)
    run = lab.submit(model="reactor", plan=search)
    tab = visit(f"/runs/{run['id']}")
    trials = tab.page.locator("#search tbody tr")
    for number in range(3):  # which rates they are, and which are asked for again, is the machine's affair
        expect(trials.nth(number)).to_be_visible()
        going = lab.get(f"/runs/{run['id']}")
        assert going["state"] == "running", "a trial is shown before the search has ended"
        step = going["capacity"]["steps"][number]
        expect(trials.nth(number)).to_contain_text(f"{step['rate_per_s']:,.6g}")
        expect(trials.nth(number)).to_contain_text(step["because"])
    expect(tab.page.locator("#search")).to_contain_text("p(50)<5s")
    told = tab.page.locator(".going .panel-head p").first
    expect(told).to_have_text(re.compile(r"^\d+ %$"))  # nobody knows how many seconds it will take
    lab.http.post(f"/api/v1/runs/{run['id']}/stop")
    expect(tab.page.locator("#search")).to_contain_text("It was stopped early.")
    expect(tab.page.locator("#run-main")).to_contain_text("Ended early")
