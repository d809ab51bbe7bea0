"""The two main tasks by keyboard alone: from a model to the verdict of a run, from a claim to its answer."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import caught_up, drawn, live

STEPS_MAX = 120
COUNT = "reactor-constant-threads"  # a count: three trials in a quick look
FOCUSED = """(selector) => {
  const element = document.activeElement;
  if (!element.matches(selector)) return "elsewhere";
  const places = [element, element.closest("label"), element.parentElement];
  const isSeen = places.some((place) => place && getComputedStyle(place).outlineStyle !== "none");
  return isSeen ? "seen" : "not seen";
}"""


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, which can be seen there."""
    for _ in range(STEPS_MAX):
        page.keyboard.press("Tab")
        if (found := page.evaluate(FOCUSED, selector)) != "elsewhere":
            assert found == "seen", f"the focus on {selector} cannot be seen"
            return
    raise AssertionError(f"{selector} is not reached by {STEPS_MAX} tabs")


def type_into(page: Page, selector: str, text: str) -> None:
    """Go to a field by Tab, and replace its content."""
    tab_to(page, selector)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_a_model_is_started_loaded_and_stopped_by_keyboard_alone(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    caught_up(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to(page, "#act-blocking")
    page.keyboard.press("Enter")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "ready")
    expect(page.locator("#act-blocking")).to_be_focused()  # it is not lost when the card is replaced
    tab_to(page, "#load-plan > summary")
    page.keyboard.press("Enter")
    for field, text in (("vus", "4"), ("duration_s", "1"), ("warmup_s", "0")):
        type_into(page, f"#f-{field}", text)
    page.keyboard.press("Enter")  # as in any form
    run = page.locator("#run-strip h2 a")
    expect(page.locator("#run-strip")).to_have_attribute("data-run-state", "finished")
    id = lab.get("/runs")[0]["id"]
    expect(run).to_have_attribute("href", f"/runs/{id}")
    page.keyboard.press("Tab")
    tab_to(page, "#run-strip h2 a")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{id}")
    expect(page.locator("#verdict")).to_have_text(lab.get(f"/runs/{id}")["verdict"]["title"])
    drawn(page.locator('[data-chart="percentiles"]'))
    page.go_back()
    caught_up(page)
    tab_to(page, "#act-blocking")
    page.keyboard.press("Enter")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "stopped")


def test_a_claim_from_the_prediction_to_the_answer_by_keyboard_alone(visit: Opener, lab: LabProcess) -> None:
    page = visit("/experiments").page
    live(page)
    tab_to(page, f"a[href='/experiments/{COUNT}']")
    page.keyboard.press("Enter")
    expect(page.locator("#experiment")).to_have_attribute("data-state", "ask")
    live(page)
    tab_to(page, "[name=guess]")
    page.keyboard.press("Space")
    expect(page.get_by_label("Holds", exact=True)).to_be_checked()
    tab_to(page, "button[name=quick][value='1']")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/experiments/{COUNT}\?experiment=\d+$"))
    live(page)
    page.evaluate("window.stayed = true")
    expect(page.locator("#experiment")).to_have_attribute("data-state", "answered")
    assert page.evaluate("window.stayed"), "it has changed by events, without a reload"
    expect(page.locator(".answered .answer")).to_contain_text("holds here")
    expect(page.locator(".answered")).to_contain_text("You predicted: holds.")
    expect(page.locator(".counts-plot tbody tr")).to_have_count(3)
    expect(page.locator("#why canvas")).to_have_count(1)
    expect(page.locator("#why canvas")).to_have_attribute("aria-label", re.compile("1 thread"))
    expect(page.locator(".mechanism .ln").first).to_be_visible()
    id = int(page.url.rpartition("=")[2])
    assert lab.get(f"/experiments/{id}")["prediction"] == "holds"
    page.goto(page.url.partition("?")[0])
    expect(page.locator("#experiment")).to_have_attribute("data-experiment", str(id))
