"""The WebSocket of a page when hidden, silent, refused or reopened: afterwards the page is up to date."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from app.live.hub import VIEWERS_PER_ADDRESS_MAX
from tests.app.driver import LabProcess
from tests.app.web.served import open_websocket

from .conftest import Opener
from .pages import HELD, live

HOOKED = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        said = [];
        constructor(...given) { super(...given); sockets.push(this); }
        send(message) { this.said.push(JSON.parse(message).type); super.send(message); }
    };
    let hidden = false;
    Object.defineProperty(document, "hidden", { get: () => hidden });
    window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
"""


@pytest.mark.full
def test_a_hidden_page_pauses_and_is_up_to_date_when_shown(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=900)["id"]
    run = lab.submit(engine=engine, plan={**HELD, "vus": 2, "idle_connections": 50})["id"]
    page = visit(f"/workbench?target={engine}", script=HOOKED).page
    grid = page.locator("[data-grid]")
    expect(grid).to_have_attribute("data-dots", "52")
    page.evaluate("hide(true); sockets[0].close()")
    page.wait_for_function("() => sockets.length === 2 && sockets[1].said.length")
    assert page.evaluate("sockets[1].said.at(-1)") == "pause"
    lab.http.post(f"/api/v1/runs/{run}/stop")
    lab.wait_ended(run)
    page.evaluate("hide(false)")
    assert page.evaluate("sockets[1].said.slice(-2)") == ["subscribe", "resume"]
    expect(page.locator("[data-conns-panel] [data-conns-open]")).to_have_text("0")
    expect(grid).to_have_attribute("data-dots", "0")


def test_the_log_filter_lists_only_sources_with_lines(visit: Opener, lab: LabProcess) -> None:
    lab.start("blocking")
    page = visit(script=HOOKED).page
    fold, choices = page.locator("[data-log] > summary"), page.locator("[data-log-engine] option")
    fold.click()
    expect(page.locator("[data-log-list] li").first).to_be_visible()
    fold.click()
    page.evaluate("""() => { for (let run = 1; run <= 520; run++) {
        const at = new Date(run * 1e9);
        const event = { type: "event", id: run, run, at, event: "x", level: "info", text: "" };
        sockets[0].dispatchEvent(new MessageEvent("message", { data: JSON.stringify(event) }));
    } }""")
    assert choices.last.text_content() == "run 520"
    assert choices.count() <= 1 + 500


def test_a_silent_socket_is_reopened(visit: Opener, lab: LabProcess) -> None:
    """As after the sleep of a laptop, or behind a tunnel that broke: here the lab itself stands still."""
    page = visit("/about", script=HOOKED).page
    live(page)
    os.kill(lab.pid, signal.SIGSTOP)
    try:
        page.wait_for_function("() => sockets.length >= 2")
        assert page.evaluate("sockets[0].readyState") >= 2, "the silent one is given up"
    finally:
        os.kill(lab.pid, signal.SIGCONT)
    live(page)


REFUSED = """
    window.WebSocket = class extends WebSocket {
        constructor(url) { super(url.replace("/ws/v1/live", "/ws/v1/nothing")); }
    };
"""


def test_a_rejected_socket_shows_the_reason_from_the_lab(visit: Opener) -> None:
    tab = visit("/nowhere", script=REFUSED)
    said = "The request says Host: lab, and a proxy in front must pass Host on as it is."
    tab.page.route("**/ws/v1/live", lambda route: route.fulfill(status=403, json={"detail": said}))
    tab.goto("/about")
    expect(tab.page.locator("[data-refusal]")).to_have_text(said)
    expect(tab.page.locator("[data-live-text]")).to_have_text("Refused")
    for complaint in ("403", "404", "WebSocket"):
        tab.forgive(complaint)


def test_a_page_over_the_viewer_limit_says_why_and_connects_later(visit: Opener, lab: LabProcess) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(open_websocket(lab)) for _ in range(VIEWERS_PER_ADDRESS_MAX)]
        page = visit("/about").page
        said = f"The limit of {VIEWERS_PER_ADDRESS_MAX} live pages from 127.0.0.1 is reached."
        expect(page.locator("[data-refusal]")).to_contain_text(said)
        expect(page.locator("[data-live-text]")).to_have_text("Refused")
        others[0].close()
        live(page)
        expect(page.locator("[data-refusal]")).to_be_hidden()
