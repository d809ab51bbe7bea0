"""The home page: the demonstration from a cold start to its two figures, and where its links lead."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app.driver import LabMaker, LabProcess, plan

from .conftest import Opener, PagePool
from .pages import PIXELS, click, live

INKED = f"""(canvas) => {{
  const data = ({PIXELS})(canvas);
  let found = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i]) found++;
  return found;
}}"""


# The first stack is drawn.
DRAWN = f"() => ({INKED})(document.querySelector('canvas[data-stack]')) > 500"


def inked(page: Page, stack: int) -> int:
    """Return how many pixels of a stack are drawn."""
    pixels: int = page.locator(f"canvas[data-stack='{stack}']").evaluate(INKED)
    return pixels


def test_the_recording_is_shown_before_anything_runs(visit: Opener) -> None:
    page = visit("/").page
    expect(page.locator("[data-source]")).to_contain_text("Recorded on")
    page.wait_for_function(DRAWN)
    label = page.locator("canvas[data-stack='0']")
    assert "slow handler" in (label.get_attribute("aria-label") or "")


def test_the_demonstration_ends_with_two_figures(page_pool: PagePool, make_lab: LabMaker) -> None:
    opener = Opener(page_pool, make_lab())
    page = opener("/").page
    live(page)
    height = page.locator(".demo").bounding_box()
    click(page.get_by_role("button", name="See one slow request freeze a server"))
    block = page.locator("#demonstration")
    expect(block).to_have_attribute("data-demonstration", "loading")
    expect(block).to_have_attribute("data-demonstration", "finished")
    expect(page.locator(".captions")).to_have_attribute("data-step", "3")
    expect(page.locator(".measured")).to_contain_text("p99 of the fast requests")
    expect(page.locator(".measured")).to_contain_text("One run on")
    expect(page.locator(".measured")).to_contain_text("an answer needs 7 rounds")
    expect(page.locator(".pair-bars b")).to_have_count(2)
    waiting = int(page.locator("[data-waiting]").inner_text())
    assert waiting > 3, "fast requests wait behind the slow one"
    assert inked(page, 0) > 500 and inked(page, 1) > 500
    assert page.locator(".demo").bounding_box() == height, "nothing moves"
    assert page.locator(".answer").count() == page.locator(".last .answer").count(), "it is no answer"
    opener.close()


def test_the_demonstration_says_why_it_cannot_start(visit: Opener, lab: LabProcess) -> None:
    lab.wait_state(lab.submit(model="reactor", plan=plan(590, 0, vus=1))["id"], "running")
    tab = visit("/")
    live(tab.page)
    click(tab.page.locator("#show"))
    expect(tab.page.get_by_role("alert").filter(has_text="being measured")).to_be_visible()
    tab.forgive("409")


@pytest.mark.parametrize("js", [True, False], ids=["scripts", "no scripts"])
def test_home_leads_to_claims_comparisons_and_workbench(visit: Opener, js: bool) -> None:
    page = visit("/", js=js).page
    for name, path in (
        ("Test the textbook’s claims", "/experiments"),
        ("Compare", "/comparisons"),
        ("Open the workbench", "/workbench"),
        ("All 27 claims", "/experiments"),
    ):
        expect(page.get_by_role("link", name=name)).to_have_attribute("href", path)


def test_everything_is_above_the_fold(visit: Opener) -> None:
    page = visit("/", 1280).page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_function(DRAWN)
    for place in ("#show", ".demo", ".last"):
        box = page.locator(place).bounding_box()
        assert box and box["y"] + box["height"] <= 720, place


def test_a_phone_shows_home_in_less_than_3000_pixels(visit: Opener) -> None:
    page = visit("/", 360).page
    page.wait_for_function(DRAWN)
    assert page.evaluate("document.documentElement.scrollHeight") < 3000
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
