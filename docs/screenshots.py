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
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, NARROW, HEIGHT = 1440, 360, 900
FULL_MS = 12_000  # so long until lanes and charts have something to show
MIX = [{"kind": "plaintext", "weight": 92}, {"kind": "sleep", "weight": 4, "params": {"ms": 40}},
       {"kind": "hash", "weight": 4, "params": {"us": 800}}]  # fmt: skip


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

    def load(self, engine: str, seconds: float, rate: float = 900, **more: Any) -> int:
        plan = {"executor": "constant-arrival-rate", "rate_per_s": rate, "spacing": "poisson", "vus": 64,
                "duration_s": seconds, "warmup_s": 2, "work": MIX, **more}  # fmt: skip
        return int(self.call("POST", "/runs", {"engine": engine, "plan": plan, "thresholds": ["p(99)<200ms"]})["id"])

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


def shot(browser: Browser, url: str, name: str, *, dark: bool = False, width: int = WIDE, ms: int = 1500,
         ready: str = "main", full: bool = True) -> None:  # fmt: skip
    """One picture; prints what the page complained about, if it did."""
    scheme: Any = "dark" if dark else "light"
    size = ViewportSize(width=width, height=HEIGHT)
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
    page: Page = context.new_page()
    page.on("console", lambda said: say(f"{name}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: say(f"{name}: {error}"))
    page.goto(url)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(ms)
    page.screenshot(path=HERE / f"{name}.png", full_page=full)
    context.close()
    say(f"{name}.png")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def take(browser: Browser, lab: Lab) -> None:
    shot(browser, lab.url, "lab-empty")
    lab.start("blocking")
    lab.start("main-sub")
    pool = lab.start("reactor-pool")
    earlier = lab.load(pool, 6)
    lab.wait(earlier, lambda view: view["finished_at"])
    going = lab.load(pool, 300, rate=600)
    lab.wait(going, lambda view: view["progress"] * 302 > 3)
    watched = f"{lab.url}/?watch={pool}"
    shot(browser, watched, "lab-light", ms=FULL_MS, ready="[data-thread-rows] tr")
    shot(browser, watched, "lab-dark", dark=True, ms=FULL_MS, ready="[data-thread-rows] tr")
    shot(browser, watched, "lab-narrow", width=NARROW, ms=FULL_MS // 2, ready="[data-thread-rows] tr")
    shot(browser, f"{lab.url}/runs/{going}", "run-going", ms=FULL_MS)
    lab.end(going)
    mixed = lab.load(lab.start("reactor"), 10, rate=700)  # beyond one thread: the two clocks part
    lab.wait(mixed, lambda view: view["finished_at"])
    result = f"{lab.url}/runs/{mixed}"
    shot(browser, result, "result-light", ready='[data-chart="load"] canvas')
    shot(browser, result, "result-dark", dark=True, ready='[data-chart="load"] canvas')
    shot(browser, result, "result-narrow", width=NARROW, ready='[data-chart="load"] canvas')
    shot(browser, f"{lab.url}/runs", "runs")
    shot(browser, f"{lab.url}/models/reactor-pool", "lesson", full=True)
    shot(browser, f"{lab.url}/models", "models")


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
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
