"""Chromium by Playwright on a running lab; a page that complains fails its test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from tests.app.conftest import lab, make_lab, shared_lab
from tests.app.driver import LabProcess

__all__ = ["lab", "make_lab", "shared_lab"]

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=20_000)  # only bounds a failure; a busy machine is slow
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SAY_VIOLATIONS = """
addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
"""


def chromium() -> str | None:
    """Where a Chromium is: named by the environment, or Debian's."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: install Debian's package chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Tab:
    """A page, and every complaint that it has made."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def forgive(self, pattern: str) -> None:
        """What this test has provoked on purpose, whether it was heard already or is still to come."""
        self.forgiven.append(pattern)

    @property
    def unforgiven(self) -> list[str]:
        return [said for said in self.complaints if not any(re.search(each, said) for each in self.forgiven)]


class Opener:
    """Opens pages on one lab; each in a context of its own."""

    def __init__(self, browser: Browser, lab: LabProcess) -> None:
        self._browser = browser
        self._lab = lab
        self._contexts: list[BrowserContext] = []
        self.tabs: list[Tab] = []

    def __call__(
        self, path: str = "/", width: int = 1280, *, dark: bool = False, js: bool = True, csp: bool = True
    ) -> Tab:
        context = self._browser.new_context(
            base_url=self._lab.url, viewport=ViewportSize(width=width, height=900), java_script_enabled=js,
            color_scheme="dark" if dark else "light", reduced_motion="no-preference", bypass_csp=not csp,
        )  # fmt: skip
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        page = context.new_page()
        tab = Tab(page)
        self.tabs.append(tab)

        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                tab.complaints.append(f"{message.type}: {message.text}")

        page.on("console", heard)
        page.on("pageerror", lambda error: tab.complaints.append(f"page error: {error}"))
        page.add_init_script(SAY_VIOLATIONS)
        page.goto(path)
        return tab

    def close(self) -> None:
        """Close them; none may have complained of anything but what its test has forgiven."""
        for context in self._contexts:
            context.close()
        assert [said for tab in self.tabs for said in tab.unforgiven] == []


@pytest.fixture
def visit(browser: Browser, lab: LabProcess) -> Iterator[Opener]:
    """Open pages of the lab. At the end none of them may have complained."""
    opener = Opener(browser, lab)
    yield opener
    opener.close()
