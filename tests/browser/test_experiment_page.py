"""A claim on its page: from the prediction to the answer, the slider, presentation, restaurant, keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import live

COUNT = "reactor-constant-threads"  # a count: three trials in a quick look


def test_the_prediction_of_a_ratio_is_a_slider_on_the_axis(visit: Opener) -> None:
    page = visit("/experiments/reactor-stalls?ask=1").page
    live(page)
    slider = page.get_by_role("slider", name="Your prediction")
    expect(slider).to_be_visible()
    page.get_by_label("×5", exact=True).check()
    guess = page.locator(".wide-plot [data-guess] text")
    expect(guess).to_have_text("Your prediction ×5.0")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(guess).not_to_have_text("Your prediction ×5.0")
    own = page.locator("[data-guess-own] input")
    expect(own).to_be_checked()
    assert float(own.input_value()) > 5
    assert f"×{own.input_value()}" in (guess.text_content() or "")


def test_an_answered_claim_shows_rounds_margin_and_history(visit: Opener, lab: LabProcess) -> None:
    page = visit("/experiments/reactor-stalls").page
    expect(page.locator(".answered .answer")).to_contain_text("holds here")
    expect(page.locator(".wide-plot circle.dot")).to_have_count(7)
    expect(page.locator(".wide-plot .strong").filter(has_text="margin ×2.0")).to_be_visible()
    rows = page.get_by_role("region", name="Rounds").locator("tbody tr")
    expect(rows).to_have_count(7)


def test_presentation_shows_one_step_at_a_time(visit: Opener) -> None:
    page = visit("/experiments/reactor-stalls").page
    live(page)
    page.keyboard.press("f")
    expect(page.locator("body")).to_have_attribute("data-step", "answered")
    expect(page).to_have_url(re.compile("present=1"))
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator("#trial")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#why")).to_be_visible()
    expect(page.locator("#trial")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trial")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".top")).to_be_visible()
    assert "present" not in page.url


def test_a_link_opens_the_presentation(visit: Opener) -> None:
    page = visit("/experiments/reactor-stalls?present=1").page
    expect(page.locator("[data-presenter]")).to_be_visible()


def kitchen(page: Page) -> None:
    """Assert that the page is told as a restaurant."""
    expect(page.locator("h1 .words-kitchen")).to_be_visible()
    expect(page.locator("h1 .words-plain")).to_be_hidden()
    expect(page.locator("h1")).to_contain_text("One waiter who also cooks")


def test_the_restaurant_is_remembered(visit: Opener) -> None:
    page = visit("/experiments/reactor-stalls").page
    live(page)
    page.get_by_role("switch", name="Restaurant").check()
    kitchen(page)
    page.reload()
    kitchen(page)
    page.get_by_role("switch", name="Restaurant").uncheck()
    expect(page.locator("h1 .words-plain")).to_be_visible()


def test_counts_of_answers_filter_the_claims_and_the_address_keeps_them(visit: Opener) -> None:
    page = visit("/experiments?scope=all").page
    live(page)
    button = page.locator("[data-answer-filter=does_not_hold]")
    count = int(button.locator("b").inner_text())
    button.click()
    expect(page.locator(".claim:visible")).to_have_count(count)
    page.reload()
    expect(page.locator(".claim:visible")).to_have_count(count)
    page.locator("[data-answer-filter=does_not_hold]").click()
    expect(page.locator(".claim:visible")).to_have_count(27)


def test_the_summary_is_one_sheet_of_paper(visit: Opener) -> None:
    page = visit("/experiments/summary").page
    pages = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert pages == 1
