"""Chromium, and the picture of one page."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

WIDE, NARROW, HEIGHT = 1440, 360, 900  # CSS pixels
SETTLED_MS = 1500
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
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of Chromium: the variable CHROMIUM, or the first one that is installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """Start Chromium, and close it at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True, slots=True)
class Shot:
    """How a page is shown.

    ms: time until live charts and lanes show enough. ready: selector that is waited for. only: selector of
    the element to show instead of the whole page. act: called with the page before the picture is taken.
    """

    dark: bool = False
    width: int = WIDE
    ms: int = SETTLED_MS
    ready: str = "main"
    only: str = ""
    act: Callable[[Page], object] | None = None


class Camera:
    """Takes pictures into one folder."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.folder = folder
        self._browser = browser

    @contextlib.contextmanager
    def page(self, url: str, name: str, width: int, height: int, dark: bool = False) -> Iterator[Page]:
        """Open a page; its errors are printed with the name of the picture."""
        scheme: Any = "dark" if dark else "light"
        size = ViewportSize(width=width, height=height)
        context = self._browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
        page = context.new_page()
        page.on("console", lambda line: say(f"{name}: {line.text}") if line.type == "error" else None)
        page.on("pageerror", lambda error: say(f"{name}: {error}"))
        page.goto(url)
        try:
            yield page
        finally:
            context.close()

    def take(self, url: str, name: str, shot: Shot = Shot()) -> None:
        """Take one picture of a page, or of one element of it."""
        path = self.folder / f"{name}.png"
        with self.page(url, name, shot.width, HEIGHT, shot.dark) as page:
            page.locator(shot.ready).first.wait_for()
            if shot.act:
                shot.act(page)
            page.wait_for_timeout(shot.ms)
            if shot.only:
                page.locator(shot.only).first.screenshot(path=path)
            else:
                page.screenshot(path=path, full_page=True)
        say(path.name)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
