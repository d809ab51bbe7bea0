"""Makes docs/screenshots/*.png: a lab on a free port, real engines under real load, and Chromium.

make screenshots        or: python docs/screenshots.py
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

HERE = Path(__file__).parent / "screenshots"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
WIDE, NARROW, HEIGHT = 1440, 360, 900
FULL_MS = 12_000  # so long until lanes and charts have something to show
MIX = [
    {"kind": "plaintext", "weight": 92},
    {"kind": "sleep", "weight": 4, "params": {"ms": 40}},
    {"kind": "hash", "weight": 4, "params": {"us": 800}},
]


class Lab:
    """What is asked of the lab, by its REST API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def start(self, model: str, **knobs: Any) -> str:
        return str(self.call("POST", "/engines", {"model": model, "knobs": knobs})["id"])

    def load(self, engine: str, seconds: float, rate: float = 900, trace: bool = False, **more: Any) -> int:
        plan = {
            "executor": "constant-arrival-rate",
            "rate_per_s": rate,
            "spacing": "poisson",
            "vus": 64,
            "duration_s": seconds,
            "warmup_s": 2,
            "work": MIX,
            "trace": trace,
            **more,
        }
        body = {"engine": engine, "plan": plan, "thresholds": ["p(99)<200ms"]}
        return int(self.call("POST", "/runs", body)["id"])

    def wait(self, run: int, done: Callable[[Any], bool]) -> Any:
        while not done(view := self.call("GET", f"/runs/{run}")):
            time.sleep(0.2)
        return view

    def end(self, run: int) -> None:
        self.call("POST", f"/runs/{run}/stop")
        self.wait(run, lambda view: view["finished_at"])


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab of our own."""
    threadlab = Path(sys.executable).with_name("threadlab")
    with tempfile.TemporaryDirectory() as data:
        argv = [str(threadlab), "serve", "--port", "0", "--data-dir", data]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                yield Lab(process.stdout.readline().split()[-1].rstrip("/"))
            finally:
                process.terminate()


def shot(
    browser: Browser,
    url: str,
    name: str,
    *,
    dark: bool = False,
    width: int = WIDE,
    ms: int = 1500,
    ready: str = "main",
    full: bool = True,
    only: str = "",
    act: Callable[[Page], object] | None = None,
) -> None:
    """One picture of a page, or of one element of it; prints what the page complained about, if it did."""
    scheme: Any = "dark" if dark else "light"
    size = ViewportSize(width=width, height=HEIGHT)
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
    page: Page = context.new_page()
    page.on("console", lambda said: say(f"{name}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: say(f"{name}: {error}"))
    page.goto(url)
    page.locator(ready).first.wait_for()
    if act:
        act(page)
    page.wait_for_timeout(ms)
    if only:
        page.locator(only).first.screenshot(path=HERE / f"{name}.png")
    else:
        page.screenshot(path=HERE / f"{name}.png", full_page=full)
    context.close()
    say(f"{name}.png")


def open_diagram(page: Page) -> None:
    page.locator("#diagram > summary").press("Enter")


def as_restaurant(page: Page) -> None:
    open_diagram(page)
    page.locator("#kitchen").check(force=True)


def light_up(page: Page) -> None:
    """The lines of a lesson that handle requests."""
    page.locator("[data-chip=handling]").click()


def show_log(page: Page) -> None:
    page.locator("#log-panel > summary").press("Enter")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def take(browser: Browser, lab: Lab) -> None:
    shot(browser, lab.url, "lab-empty")
    pool = lab.start("reactor-pool")
    lab.start("blocking")
    lab.start("main-sub")
    watching(browser, lab, pool)
    crowd(browser, lab)
    results(browser, lab, pool)
    compared(browser, lab)
    shot(browser, f"{lab.url}/models", "models")
    shot(browser, f"{lab.url}/runs", "runs")


def watching(browser: Browser, lab: Lab, pool: str) -> None:
    """The live view while a load goes: lanes, diagram, restaurant, lesson, log."""
    going = lab.load(pool, 400, rate=600, trace=True)
    lab.wait(going, lambda view: view["progress"] * 402 > 3)
    url, rows = f"{lab.url}/?watch={pool}", "[data-thread-rows] tr"
    shot(browser, url, "lab-light", ms=FULL_MS, ready=rows)
    shot(browser, url, "lab-dark", dark=True, ms=FULL_MS, ready=rows, act=open_diagram)
    shot(browser, url, "lab-narrow", width=NARROW, ms=FULL_MS // 2, ready=rows)
    shot(browser, url, "diagram", ms=4000, ready=rows, act=open_diagram, only="#diagram")
    shot(browser, url, "restaurant", ms=4000, ready=rows, act=as_restaurant, only="#diagram")
    shot(browser, url, "log", ready=rows, act=show_log, only="#log-panel")
    lesson = f"{lab.url}/models/reactor-pool"
    shot(browser, lesson, "lesson", dark=True, ms=FULL_MS, ready=rows, act=light_up)
    shot(browser, lesson, "lesson-narrow", width=NARROW, ms=4000, ready=rows)
    shot(browser, f"{lab.url}/runs/{going}", "run-going", ms=FULL_MS)
    lab.end(going)


def crowd(browser: Browser, lab: Lab) -> None:
    """Many connections, each a dot."""
    engine = lab.start("main-sub", idle_s=600)
    going = lab.load(engine, 60, rate=300, idle_connections=3000)
    lab.wait(going, lambda view: view["state"] == "running")
    url = f"{lab.url}/?watch={engine}"
    shot(browser, url, "grid", ms=4000, ready="[data-thread-rows] tr", only="[data-conns-panel]")
    lab.end(going)


def results(browser: Browser, lab: Lab, pool: str) -> None:
    """What a run came to, and two of them side by side."""
    pair = [lab.load(each, 8, rate=400) for each in (pool, lab.start("reactor-pool", workers=1))]
    lab.wait(pair[1], lambda view: view["finished_at"])
    mixed = lab.load(lab.start("reactor"), 10, rate=700)  # beyond one thread: the two clocks part
    lab.wait(mixed, lambda view: view["finished_at"])
    result, drawn = f"{lab.url}/runs/{mixed}", '[data-chart="load"] canvas'
    shot(browser, result, "result-light", ready=drawn)
    shot(browser, result, "result-dark", dark=True, ready=drawn)
    shot(browser, result, "result-narrow", width=NARROW, ready=drawn)
    shot(browser, f"{lab.url}/runs/diff?a={pair[0]}&b={pair[1]}", "diff")


def compared(browser: Browser, lab: Lab) -> None:
    plan = {"executor": "constant-arrival-rate", "rate_per_s": 400, "vus": 32, "duration_s": 3, "warmup_s": 1}
    body = {
        "models": ["blocking", "reactor", "reactor-pool"],
        "view": "equal-rate",
        "trials": 3,
        "plan": plan,
    }
    made = lab.call("POST", "/comparisons", body)["id"]
    while not lab.call("GET", f"/comparisons/{made}")["finished_at"]:
        time.sleep(0.5)
    shot(browser, f"{lab.url}/comparisons/{made}", "comparison")


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        say("No Chromium: install Debian's package chromium, or name one in CHROMIUM.")
        return 1
    HERE.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, lab() as running:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        take(browser, running)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
