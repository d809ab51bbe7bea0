"""A relay on the page that shows engines side by side: who takes over is seen beside who served before."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.app.driver import LabProcess, plan
from tests.browser.conftest import Opener
from tests.browser.pages import OPEN, live
from tests.measure.conftest import Report

LEG_S = 5.0


def test_an_engine_that_takes_over_in_a_relay_is_seen_beside_the_one_before(
    visit: Opener, lab: LabProcess, report: Report
) -> None:
    """The page shows both engines of a relay, marks the first one as gone, and keeps its rates in the chart.

    Noise: the page is open before the relay begins, so all it needs is one of the fifty frames that come while the
    first engine serves alone. The report says after how many seconds of those five it had it.
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
        f"the first engine's rate was in the chart {time.monotonic() - began_s:.1f} s after its {LEG_S:g} s began"
    )
    expect(blocks).to_have_count(2)
    expect(page.locator("[data-engine-lanes] > [data-gone]")).to_have_count(1)
    expect(rate.locator("thead th")).to_have_count(3)  # when, and a column for each
    expect(first).to_be_visible()  # its past is kept
    lab.wait_ended(run["id"])
