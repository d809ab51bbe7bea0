"""A visitor who reads only buttons: from `make run` to the frozen reactor, and to the answer of one claim.

    python -m tests.measure.visitor [--folder CHECKOUT] [--shots FOLDER]

Starts `make run` in a checkout, opens a browser, and presses what the pages offer. Prints how long each step
took since the start. Exit code 1 if the frozen reactor takes more than 60 s, or the answer more
than 4 minutes.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import FLAGS, chromium

ROOT = Path(__file__).parents[2]
FROZEN_MAX_S, ANSWER_MAX_S = 60.0, 240.0
BOUND_S = 600.0
VIEW = ViewportSize(width=1280, height=720)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def make_run(folder: Path) -> Iterator[str]:
    """Run `make run` in a checkout; yield the address as soon as it answers."""
    port = free_port()
    environment = {**os.environ, "THREADLAB_PORT": str(port), "THREADLAB_DATA_DIR": str(folder / ".visitor")}
    process = subprocess.Popen(["make", "run"], cwd=folder, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                httpx.get(f"{url}/healthz").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


class Visitor:
    """Presses buttons, and says how long that took since `began_s`."""

    def __init__(self, page: Page, shots: Path, began_s: float) -> None:
        self._page, self._shots, self._began_s = page, shots, began_s
        shots.mkdir(parents=True, exist_ok=True)

    def elapsed_s(self, what: str) -> float:
        """Print and return the time since the start, and take a picture."""
        elapsed_s = time.monotonic() - self._began_s
        number = len(list(self._shots.glob("*.png"))) + 1
        self._page.screenshot(path=self._shots / f"{number}-{what.replace(' ', '-')}.png")
        sys.stdout.write(f"{elapsed_s:6.1f} s  {what}\n")
        return elapsed_s

    def see_the_freeze(self) -> float:
        """Press the first button, and wait for the two figures. Returns the time since the start."""
        page = self._page
        self.elapsed_s("home")
        page.get_by_role("button", name="See one slow request freeze a server").click()
        expect(page.locator("#demonstration")).to_have_attribute("data-demonstration", "loading")
        page.wait_for_timeout(3000)
        self.elapsed_s("loading")
        expect(page.locator("#demonstration")).to_have_attribute("data-demonstration", "finished")
        expect(page.locator(".captions")).to_have_attribute("data-step", "3")
        return self.elapsed_s("frozen reactor")

    def get_an_answer(self) -> float:
        """Follow the next button to the claim, predict, run, and wait. Returns the time since the start."""
        page = self._page
        page.get_by_role("link", name="Run 7 rounds").click()
        page.get_by_label("×5", exact=True).check()
        self.elapsed_s("prediction")
        page.get_by_role("button", name="Run 7 rounds").click()
        expect(page.locator("#experiment")).to_have_attribute("data-state", "running")
        self.elapsed_s("running")
        expect(page.locator("#experiment")).to_have_attribute("data-state", "answered")
        page.wait_for_timeout(1000)
        found = self.elapsed_s("answer")
        sys.stdout.write(f"          {page.locator('.answered .answer').inner_text()}\n")
        page.locator("#why").scroll_into_view_if_needed()
        self.elapsed_s("why")
        return found


def main() -> int:
    """Visit a lab and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT)
    parser.add_argument("--shots", type=Path, default=ROOT / "visitor-shots")
    options = parser.parse_args()
    began_s = time.monotonic()
    with make_run(options.folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=VIEW)
        page.set_default_timeout(1000 * BOUND_S)
        expect.set_options(timeout=1000 * BOUND_S)
        page.goto(url)
        visitor = Visitor(page, options.shots, began_s)
        frozen_s = visitor.see_the_freeze()
        answer_s = visitor.get_an_answer()
        browser.close()
    return int(frozen_s > FROZEN_MAX_S or answer_s > ANSWER_MAX_S)


if __name__ == "__main__":
    sys.exit(main())
