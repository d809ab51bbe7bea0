"""A hot swap on the live page: both engines are visible side by side."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.app.driver import LabProcess, plan
from tests.browser.conftest import Opener
from tests.browser.pages import OPEN, live
from tests.measure.conftest import Report

LEG_S = 5.0


def test_a_hot_swap_shows_both_engines_side_by_side(visit: Opener, lab: LabProcess, report: Report) -> None:
    """The page shows both engines, marks the first one as gone, and keeps its rates in the chart.

    Noise: the page is open before the run starts, and needs one of the fifty frames of the five seconds in
    which the first engine serves alone. The report shows after how many seconds it had one.
    """
    page = visit("/live").page
    live(page)
    load = plan(2 * LEG_S, 0, vus=8, executor=OPEN, rate_per_s=200)
    run = lab.submit(model="reactor", then=[{"model": "reactor-pool"}], plan=load)
    lab.wait_state(run["id"], "running")
    began_s = time.monotonic()
    blocks, rate = page.locator("[data-engine-lanes] > .threads"), page.locator('[data-chart="rate"]')
    expect(blocks).to_have_count(1)
    rate.locator("summary").click()
    first = rate.locator("tbody td:nth-child(2)").filter(has_text=re.compile(r"^[1-9]")).first
    expect(first).to_be_visible()
    report(
        f"the first engine's rate was in the chart after {time.monotonic() - began_s:.1f} s of {LEG_S:g} s"
    )
    expect(blocks).to_have_count(2)
    expect(page.locator("[data-engine-lanes] > [data-gone]")).to_have_count(1)
    expect(rate.locator("thead th")).to_have_count(3)  # time, and a column for each engine
    expect(first).to_be_visible()  # the rates of the first engine are kept
    lab.wait_ended(run["id"])
