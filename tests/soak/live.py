"""The live view for ten minutes: five engines side by side, 64 lanes, 10,000 connections, ten frames a second.

    python -m tests.soak.live [--seconds 600] [--connections 10000]

Prints how busy the page's main thread was (its CPU time, so that other work of the machine does not count), its longest
task, and what it holds after a collection at a fifth of the time and at the end: its heap with the array buffers, where
lanes and connections live, its nodes and its listeners. Ends with 1 beyond the targets: 30 % busy, no task over 100 ms,
all of it within 10 %.
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
LONG_MS, BUSY_MOST, HELD_WITHIN = 100, 0.30, 0.10
HEAR_LONG_TASKS = """window.longTasks = []; new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) longTasks.push([startTime, duration]);
}).observe({ type: "longtask" })"""


@dataclass(frozen=True)
class Held:
    """What a page holds after a collection."""

    heap_bytes: float  # of objects and of the array buffers beside them
    nodes: float
    listeners: float


@dataclass(frozen=True)
class Outcome:
    """How a page stood it. `longest_ms` is of a task after the page had settled; 0: none took 50 ms."""

    lanes: int
    dots: int
    busy: float
    longest_ms: float
    early: Held
    late: Held

    @property
    def changed(self) -> float:
        """The share by which that has changed which has changed most."""
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


def crowd(lab: LabProcess, connections: int, seconds: float) -> list[str]:
    """Five engines, one with a crowd; answers their ids."""
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


def watch(browser: Browser, lab: LabProcess, ids: list[str], connections: int, seconds: float) -> Outcome:
    """Look on for so long; the first fifth is for the page to settle."""
    context = browser.new_context(base_url=lab.url, viewport=ViewportSize(width=1440, height=1000))
    page = context.new_page()
    page.goto("/live?" + "&".join(f"engine={id}" for id in ids))
    grid = page.locator("[data-grid]").first
    expect(grid).to_have_attribute("data-dots", str(connections), timeout=60_000)
    page.wait_for_timeout(seconds * 200)
    page.evaluate(HEAR_LONG_TASKS)
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    early, before = held(session), metrics(session)
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
        held(session),
    )
    context.close()
    return outcome


def lanes(page: Page) -> int:
    return page.locator("[data-thread-rows] tr").count()


def held(session: CDPSession) -> Held:
    session.send("HeapProfiler.collectGarbage")
    usage, counts = session.send("Runtime.getHeapUsage"), metrics(session)
    return Held(usage["usedSize"] + usage["backingStorageSize"], counts["Nodes"], counts["JSEventListeners"])


def metrics(session: CDPSession) -> dict[str, float]:
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asked.add_argument("--seconds", type=float, default=600)
    asked.add_argument("--connections", type=int, default=10_000)
    given = asked.parse_args()
    load_s = given.seconds + 120
    lab_flags = ("--max-duration-s", str(max(load_s, 600)))
    with (
        tempfile.TemporaryDirectory() as data,
        closing(LabProcess(Path(data), *lab_flags)) as lab,
        sync_playwright() as playwright,
    ):
        ids = crowd(lab, given.connections, load_s)
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        outcome = watch(browser, lab, ids, given.connections, given.seconds)
        browser.close()
    sys.stdout.write(f"{outcome}\n")
    fine = outcome.busy < BUSY_MOST and outcome.longest_ms <= LONG_MS and abs(outcome.changed) <= HELD_WITHIN
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
