"""The page's one connection, when nobody looks and when it comes back: what is shown afterwards is the truth."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import HELD

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
def test_a_page_that_comes_back_unseen_rests_and_shows_the_truth_when_seen(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=900)["id"]
    run = lab.submit(engine=engine, plan={**HELD, "vus": 2, "idle_connections": 50})["id"]
    page = visit(f"/?watch={engine}", script=HOOKED).page
    grid = page.locator("[data-grid]")
    expect(grid).to_have_attribute("data-dots", "52")
    page.evaluate("hide(true); sockets[0].close()")
    page.wait_for_function("() => sockets.length === 2 && sockets[1].said.length")
    assert page.evaluate("sockets[1].said.at(-1)") == "pause"
    lab.http.post(f"/api/v1/runs/{run}/stop")
    lab.ended(run)
    page.evaluate("hide(false)")
    assert page.evaluate("sockets[1].said.slice(-2)") == ["subscribe", "resume"]
    expect(page.locator("[data-conns-panel] [data-live=connections_total]")).to_have_text("0")
    expect(grid).to_have_attribute("data-dots", "0")


def test_the_log_offers_only_whom_it_has_lines_of(visit: Opener, lab: LabProcess) -> None:
    lab.start("blocking")
    page = visit(script=HOOKED).page
    fold, choices = page.locator("[data-log] > summary"), page.locator("[data-log-engine] option")
    fold.click()
    expect(page.locator("[data-log-list] li").first).to_be_visible()
    fold.click()
    page.evaluate("""() => { for (let run = 1; run <= 520; run++) {
        const event = { type: "event", id: run, run, at: new Date(run * 1e9), event: "x", level: "info", text: "" };
        sockets[0].dispatchEvent(new MessageEvent("message", { data: JSON.stringify(event) }));
    } }""")
    assert choices.last.text_content() == "run 520"
    assert choices.count() <= 1 + 500
