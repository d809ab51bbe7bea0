"""What the home page costs a browser: bytes and first paint of the first view, and the demonstration."""

from __future__ import annotations

import time
from contextlib import closing

from playwright.sync_api import Browser, Page, expect

from tests.app.driver import LabMaker
from tests.browser.pages import click, live
from tests.measure.conftest import Report

BYTES_MAX, PAINT_MAX_MS, BUSY_MAX = 120_000, 1000, 0.3
REPLAY_MS = 7000
FIRST_VIEW = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const files = performance.getEntriesByType("resource");
  const bytes = files.reduce((sum, { transferSize }) => sum + transferSize, page.transferSize);
  return { bytes, paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime };
}"""


class MainThread:
    """The main thread of a page, from now on."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._start_s, self._start_task_s = time.monotonic(), self._task_s()

    def _task_s(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def busy(self) -> float:
        """Return the share of the time since the start in which it has worked."""
        return (self._task_s() - self._start_task_s) / (time.monotonic() - self._start_s)


def test_the_first_view_is_light_and_the_demonstration_leaves_the_main_thread_time(
    browser: Browser, make_lab: LabMaker, report: Report
) -> None:
    """The second visit is measured: the first one compiles the templates of a new lab.

    Noise: the work of the main thread is its CPU time. The first paint is wall-clock time.
    """
    lab = make_lab()
    with closing(browser.new_page()) as page:
        page.goto(lab.url)
    with closing(browser.new_page(viewport={"width": 1280, "height": 720})) as page:
        page.goto(lab.url)
        live(page)
        view = page.evaluate(FIRST_VIEW)
        main_thread = MainThread(page)
        click(page.locator("#show"))
        expect(page.locator("#demonstration")).to_have_attribute("data-demonstration", "finished")
        page.wait_for_timeout(REPLAY_MS)
        busy = main_thread.busy()
    report(
        f"{view['bytes'] / 1000:.0f} KB, first paint {view['paint_ms']:.0f} ms, main thread {busy:.0%} of "
        f"the demonstration"
    )
    assert view["bytes"] <= BYTES_MAX
    assert view["paint_ms"] < PAINT_MAX_MS
    assert busy < BUSY_MAX
