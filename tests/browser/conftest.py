"""Chromium (Playwright) on a running lab. An error in the browser console fails the test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.app.conftest import lab, make_lab
from tests.app.driver import LabProcess
from tests.waiting import BOUND_S

from .history import keep_history

__all__ = ["lab", "make_lab"]

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
expect.set_options(timeout=1000 * BOUND_S)
# The shell first: it draws no window, which saves a fifth of the CPU of these tests.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
REPORT_CSP_VIOLATIONS = """
addEventListener("securitypolicyviolation", (e) =>
    console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
"""
WIDTH, HEIGHT = 1280, 900
IDLE_STATES = "/resting"  # an idle page is here: on the origin of the lab, but served by Playwright
EMPTY = '<!doctype html><title>Resting</title><link rel="icon" href="data:,">'
# Logged by the browser when a page is left while its socket is connecting; not an error of the page.
LEFT_EARLY = "closed before the connection is established"


def chromium() -> str | None:
    """Return the path of a Chromium: from $CHROMIUM, or Debian's."""
    return os.environ.get("CHROMIUM") or next(
        (found for name in NAMES if (found := shutil.which(name))), None
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: install Debian's package chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """One lab for all browser tests of this process. Its history begins with the runs of `history`."""
    folder = tmp_path_factory.mktemp("lab")
    keep_history(folder)
    with contextlib.closing(LabProcess(folder)) as started:
        yield started


class PagePool:
    """Pages for reuse by the next test: a new page costs as much CPU as three navigations."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: list[Page] = []

    def take(self) -> Page:
        """Return an idle page, or a new one."""
        return self._idle.pop() if self._idle else self.make()

    def make(self) -> Page:
        """Return a new page, in its own context."""
        context = self._browser.new_context(viewport=ViewportSize(width=WIDTH, height=HEIGHT))
        context.set_default_timeout(1000 * BOUND_S)
        page = context.new_page()
        page.add_init_script(REPORT_CSP_VIOLATIONS)
        return page

    def put(self, page: Page, url: str) -> None:
        """Keep a page of the lab at `url` for reuse, with its state cleared."""
        try:
            page.unroute_all(behavior="ignoreErrors")
            page.route(
                resting := url + IDLE_STATES,
                lambda route: route.fulfill(body=EMPTY, content_type="text/html"),
            )
            page.goto(resting)  # its storage is cleared there: no script fills it again
            page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
            page.unroute_all()
            page.context.clear_cookies()
            page.mouse.move(0, 0)
        except Error:
            page.context.close()
        else:
            self._idle.append(page)


@pytest.fixture(scope="session")
def page_pool(browser: Browser) -> PagePool:
    return PagePool(browser)


class Tab:
    """A page of a lab, and the errors in its console."""

    def __init__(self, page: Page, url: str, *, js: bool, csp: bool, shared: bool) -> None:
        """`url`: of the lab; `csp`: its policy holds; `shared`: the page goes back to the pool."""
        self.page = page
        self.complaints: list[str] = []
        self.shared = shared
        self._url = url
        self._forgiven = [LEFT_EARLY]
        self._switches = page.context.new_cdp_session(
            page
        )  # what it switches is switched back when it is detached
        if not js:
            self._switches.send("Emulation.setScriptExecutionDisabled", {"value": True})
        if not csp:
            self._switches.send("Page.setBypassCSP", {"enabled": True})
        page.on("console", self._console)
        page.on("pageerror", self._error)

    def goto(self, path: str) -> None:
        """Go to a page of the same lab."""
        self.page.goto(self._url + path)

    def forgive(self, pattern: str) -> None:
        """What this test has provoked on purpose, whether it was heard already or is still to come."""
        self._forgiven.append(pattern)

    @property
    def unforgiven(self) -> list[str]:
        return [said for said in self.complaints if not any(re.search(each, said) for each in self._forgiven)]

    def finish(self) -> None:
        """Stop listening, after everything that the page has said until now."""
        with contextlib.suppress(Error):  # the page is closed, or is being navigated
            self.page.evaluate(
                "0"
            )  # messages come in order: those of the console are here before this answer
        self.page.remove_listener("console", self._console)
        self.page.remove_listener("pageerror", self._error)
        with contextlib.suppress(Error):
            self._switches.detach()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _error(self, error: Error) -> None:
        self.complaints.append(f"page error: {error}")


class Opener:
    """Opens pages on one lab. When the test is over, they are there for later ones."""

    def __init__(self, pages: PagePool, lab: LabProcess) -> None:
        self._pages = pages
        self._lab = lab
        self.tabs: list[Tab] = []

    def __call__(
        self,
        path: str = "/workbench",
        width: int = WIDTH,
        *,
        dark: bool = False,
        motion: bool = False,
        js: bool = True,
        csp: bool = True,
        script: str = "",
    ) -> Tab:
        """Open a page.

        `motion`: lanes and diagrams move with each animation frame, which costs a tenth of a CPU; otherwise
        the page has reduced motion. `script` runs before the scripts of the page; the page is not reused.
        """
        page = self._pages.make() if script else self._pages.take()
        if script:
            page.add_init_script(script)
        if page.viewport_size != (size := ViewportSize(width=width, height=HEIGHT)):
            page.set_viewport_size(size)
        page.emulate_media(
            color_scheme="dark" if dark else "light", reduced_motion="no-preference" if motion else "reduce"
        )
        tab = Tab(page, self._lab.url, js=js, csp=csp, shared=not script)
        self.tabs.append(tab)
        tab.goto(path)
        return tab

    def close(self) -> None:
        """Give the pages back; none may have complained of anything but what its test has forgiven."""
        for tab in self.tabs:
            tab.finish()
        for tab in self.tabs:
            if tab.shared and not tab.page.is_closed():
                self._pages.put(tab.page, self._lab.url)
            else:
                tab.page.context.close()
        assert [said for tab in self.tabs for said in tab.unforgiven] == []


@pytest.fixture
def visit(page_pool: PagePool, lab: LabProcess) -> Iterator[Opener]:
    """Open pages of the lab. At the end none of them may have complained."""
    opener = Opener(page_pool, lab)
    yield opener
    opener.close()
