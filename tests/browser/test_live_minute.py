"""The live view under its full load for the better part of a minute. `make soak` does it for ten, with the real bounds.

Bounds here tell what is broken from a machine that is busy: a page that leaks, that draws everything anew for each
frame, or that stands still for seconds.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.app.driver import LabMaker
from tests.soak.live import crowd, watch

pytestmark = pytest.mark.alone

CONNECTIONS, SECONDS = 10_000, 40


def test_64_lanes_and_10_000_connections_leave_the_page_time_to_breathe(browser: Browser, make_lab: LabMaker) -> None:
    lab = make_lab()
    outcome = watch(browser, lab, crowd(lab, CONNECTIONS, SECONDS + 120), CONNECTIONS, SECONDS)
    assert outcome.lanes >= 40
    assert outcome.dots == CONNECTIONS
    assert outcome.busy < 0.6, outcome
    assert outcome.longest_ms < 1500, outcome
    assert outcome.changed < 0.5, outcome
