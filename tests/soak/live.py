"""Soak test of the live view: five engines, 64 lanes and 10,000 connections at 10 frames/s for ten minutes.

    python -m tests.soak.live [--seconds 600] [--connections 10000]

Prints the CPU utilisation of the page's main thread, its longest task, and the memory use after a garbage
collection at a fifth of the time and at the end: heap with array buffers, DOM nodes and event listeners.
Exits with 1 if the utilisation exceeds 30 %, a task exceeds 100 ms, or the memory use changes by more than 10
%.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, ViewportSize, expect, sync_playwright

from tests.app.driver import LabProcess, plan
from tests.browser.conftest import FLAGS, chromium

ENGINES: dict[str, dict[str, int]] = {
    "reactor": {},
    "reactor-pool": {"workers": 24},
    "main-sub": {"reactors": 4, "workers": 4},
    "proactor": {"workers": 15},
    "blocking": {},
}
TASK_MAX_MS, BUSY_MAX, HELD_CHANGE_MAX = 100, 0.30, 0.10
OBSERVE_LONG_TASKS = """window.longTasks = []; new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) longTasks.push([startTime, duration]);
}).observe({ type: "longtask" })"""


@dataclass(frozen=True)
class MemoryUse:
    """Memory use of a page after a garbage collection."""

    heap_bytes: float  # with array buffers
    nodes: float
    listeners: float


@dataclass(frozen=True)
class Outcome:
    """The measured values. longest_ms: of a task after the first fifth; 0: none took 50 ms."""

    lanes: int
    dots: int
    busy: float
    longest_ms: float
    early: MemoryUse
    late: MemoryUse

    @property
    def changed(self) -> float:
        """The largest relative change of memory use."""
        pairs: zip[tuple[float, float]] = zip(astuple(self.early), astuple(self.late), strict=True)
        return max((late / early - 1 for early, late in pairs), key=abs)

    def __str__(self) -> str:
        return (
            f"{self.lanes} lanes, {self.dots} dots: main thread {self.busy:.1%} busy, "
            f"longest task {self.longest_ms:.0f} ms, "
            f"heap {self.early.heap_bytes / 1e6:.1f} to {self.late.heap_bytes / 1e6:.1f} MB, "
            f"nodes {self.early.nodes:.0f} to {self.late.nodes:.0f}, "
            f"listeners {self.early.listeners:.0f} to {self.late.listeners:.0f} ({self.changed:+.1%} at most)"
        )


def start_engines(lab: LabProcess, connections: int, seconds: float) -> list[str]:
    """Start five engines, one of them with idle connections under load; return their ids."""
    ids = [
        lab.start(model, **knobs, idle_s=int(seconds) + 60)["id"]
        for model, knobs in ENGINES.items()
        if model != "proactor" or lab.get("/system")["io_uring"]
    ]
    steady = plan(
        seconds,
        0,
        vus=64,
        executor="constant-arrival-rate",
        rate_per_s=300,
        idle_connections=connections - 64,
    )
    lab.submit(engine=ids[0], plan=steady)
    return ids


def measure(browser: Browser, lab: LabProcess, ids: list[str], connections: int, seconds: float) -> Outcome:
    """Open the page and measure it, after the first fifth of `seconds`."""
    context = browser.new_context(base_url=lab.url, viewport=ViewportSize(width=1440, height=1000))
    page = context.new_page()
    page.goto("/live?" + "&".join(f"engine={id}" for id in ids))
    grid = page.locator("[data-grid]").first
    expect(grid).to_have_attribute("data-dots", str(connections), timeout=60_000)
    page.wait_for_timeout(seconds * 200)
    page.evaluate(OBSERVE_LONG_TASKS)
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    early, before = memory_use(session), metrics(session)
    page.wait_for_timeout(seconds * 800)
    after = metrics(session)
    tasks: list[list[float]] = page.evaluate("longTasks")
    busy = (after["ThreadTime"] - before["ThreadTime"]) / (after["Timestamp"] - before["Timestamp"])
    outcome = Outcome(
        lanes(page),
        int(grid.get_attribute("data-dots") or 0),
        busy,
        max((ms for _, ms in tasks), default=0),
        early,
        memory_use(session),
    )
    context.close()
    return outcome


def lanes(page: Page) -> int:
    return page.locator("[data-thread-rows] tr").count()


def memory_use(session: CDPSession) -> MemoryUse:
    session.send("HeapProfiler.collectGarbage")
    usage, counts = session.send("Runtime.getHeapUsage"), metrics(session)
    return MemoryUse(
        usage["usedSize"] + usage["backingStorageSize"], counts["Nodes"], counts["JSEventListeners"]
    )


def metrics(session: CDPSession) -> dict[str, float]:
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    load_s = options.seconds + 120
    lab_flags = ("--max-duration-s", str(max(load_s, 600)))
    with (
        tempfile.TemporaryDirectory() as data,
        closing(LabProcess(Path(data), *lab_flags)) as lab,
        sync_playwright() as playwright,
    ):
        ids = start_engines(lab, options.connections, load_s)
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        outcome = measure(browser, lab, ids, options.connections, options.seconds)
        browser.close()
    sys.stdout.write(f"{outcome}\n")
    passed = (
        outcome.busy < BUSY_MAX
        and outcome.longest_ms <= TASK_MAX_MS
        and abs(outcome.changed) <= HELD_CHANGE_MAX
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
