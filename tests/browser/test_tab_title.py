"""The title of a tab shows the job in progress, and a hidden tab gets a notification when a long one ends."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess, endless

from .conftest import Opener
from .pages import caught_up, live

# A socket that the test speaks through, a page that it can hide, and notifications that it can read.
HOOKED = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...given) { super(...given); sockets.push(this); }
    };
    let hidden = false;
    Object.defineProperty(document, "hidden", { get: () => hidden });
    window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
    window.say = (job) => sockets.at(-1).dispatchEvent(
        new MessageEvent("message", { data: JSON.stringify({ type: "job", job }) }));
    window.shown = [];
    window.asked = 0;
    window.Notification = class extends EventTarget {
        static permission = "default";
        static requestPermission() {
            asked++;
            return new Promise((resolve) => { window.decide = resolve; });
        }
        constructor(title, { body, tag }) { super(); shown.push([title, body, tag]); }
    };
"""
# Counts the submissions that get through to the form, and sends none.
COUNT_STARTS = """() => {
    window.starts = 0;
    document.addEventListener("submit", (event) => { event.preventDefault(); starts++; });
}"""
LONG = '{ kind: "experiment", id: 7, title: "one slow handler", percent: 98, elapsed_s: 200 }'


def test_a_run_is_in_the_title_of_every_page_until_it_ends(visit: Opener, lab: LabProcess) -> None:
    page = visit("/about").page
    live(page)
    own = page.title()
    run = lab.submit(model="reactor", plan=endless())
    shown = re.compile(rf"^\d+ % · {re.escape(run['title'])} – Thread Model Lab$")
    expect(page).to_have_title(shown)
    page.goto(page.url.replace("/about", "/runs"))  # swaps its list when its socket opens
    caught_up(page)
    expect(page).to_have_title(shown)
    lab.post(f"/runs/{run['id']}/stop")
    expect(page).to_have_title("Runs · Thread Model Lab")
    page.goto(page.url.replace("/runs", "/about"))
    expect(page).to_have_title(own)


def test_the_title_of_a_hidden_page_follows_an_experiment(visit: Opener) -> None:
    page = visit("/experiments/reactor-stalls", script=HOOKED).page
    live(page)
    own = page.title()
    page.evaluate(f"hide(true); say({LONG})")
    assert page.title() == "98 % · one slow handler – Thread Model Lab"
    page.evaluate("say(null)")
    assert page.title() == own


def notified(page: Page, *messages: str) -> list[list[str]]:
    """Return the notifications that these jobs cause."""
    page.evaluate("shown.length = 0")
    for message in messages:
        page.evaluate(f"say({message})")
    return list(page.evaluate("shown"))


def test_a_hidden_page_notifies_of_the_end_of_a_long_job(visit: Opener) -> None:
    page = visit("/about", script=HOOKED).page
    live(page)
    page.evaluate("Notification.permission = 'granted'")
    assert notified(page, LONG, "null") == [], "the page is visible"
    page.evaluate("hide(true)")
    assert notified(page, LONG, "null") == [["one slow handler", "Ended after 3 min.", "experiment-7"]]
    assert notified(page, LONG.replace("200", "59"), "null") == [], "it was short"
    assert notified(page, LONG.replace("experiment", "run"), "null") == [], "a run"
    assert notified(page, LONG, LONG.replace("id: 7", "id: 8")) != [], "the next one has begun"
    page.evaluate("Notification.permission = 'denied'")
    assert notified(page, LONG, "null") == []


def test_permission_is_asked_for_once_when_a_comparison_is_started(visit: Opener) -> None:
    page = visit("/comparisons", script=HOOKED).page
    caught_up(page)
    page.evaluate(COUNT_STARTS)
    start = page.locator("#compare-form button:not([type=button])").last
    assert page.evaluate("asked") == 0
    start.click()
    start.click()
    assert page.evaluate("[asked, starts]") == [1, 0], "it waits for the answer"
    page.evaluate("decide('denied')")
    page.wait_for_function("() => window.starts === 1")
    start.evaluate("(button) => button.form.requestSubmit(button)")  # the button itself is busy
    assert page.evaluate("[asked, starts]") == [1, 2], "the choice is remembered"


def test_nothing_is_asked_for_a_short_experiment(visit: Opener) -> None:
    page = visit("/experiments?scope=all", script=HOOKED).page
    live(page)
    page.evaluate(COUNT_STARTS)
    short = page.locator(".claim button:not([data-long])").first
    short.click()
    assert page.evaluate("asked") == 0
    page.locator(".claim button[data-long]").first.click()
    assert page.evaluate("asked") == 1
