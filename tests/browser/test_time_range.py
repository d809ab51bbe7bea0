"""The figures of a part of a run: chosen by a drag over a chart, typed, linked, and without JavaScript."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import caught_up, click, drawn

CHART = '[data-chart="rate"]'
OVER = ".uplot .u-over"
# Whether all charts over time show the same marked part: its start and length in seconds, of 6.
ALL_MARKED = """(expected) => [...document.querySelectorAll("[data-over-time] .uplot")].every((plot) => {
  const over = plot.querySelector(".u-over").clientWidth;
  const { left, width } = plot.querySelector(".u-select").style;
  return [left, width].every((px, i) => Math.round((6 * parseFloat(px)) / over) === expected[i]);
})"""


def drag(page: Page, from_share: float, to_share: float) -> None:
    """Drag across the throughput chart, from and to a share of its width."""
    chart = page.locator(CHART)
    chart.scroll_into_view_if_needed()
    drawn(chart)
    box = chart.locator(OVER).bounding_box()
    assert box
    for share, button in ((from_share, page.mouse.down), (to_share, page.mouse.up)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        button()


def test_a_drag_across_a_chart_shows_the_figures_of_its_seconds(visit: Opener, lab: LabProcess) -> None:
    """The run has 2 s of warm-up and 4 measured seconds."""
    page = visit("/runs/1").page
    caught_up(page)
    drag(page, 0.52, 0.8)  # 3.1 to 4.8 s
    shown = page.locator("#range [data-range-from]")
    expect(shown).to_contain_text("3.0 to 5.0 s")
    requests = page.locator("#range").get_by_role("row", name="Requests").locator("td").first
    expect(requests).to_have_text(f"{lab.get('/runs/1/range?from_s=3.1&to_s=4.8')['requests']:,}")
    page.wait_for_function(ALL_MARKED, arg=[3, 2])
    expect(page).to_have_url(re.compile(r"\?from_s=3\.\d+&to_s=4\.\d+$"))
    page.reload()
    expect(shown).to_contain_text("3.0 to 5.0 s")
    drawn(page.locator(CHART))
    page.wait_for_function(ALL_MARKED, arg=[3, 2])
    click(page.locator("[data-whole-run]"))
    expect(shown).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/runs/1#range$"))


def test_a_click_on_a_chart_chooses_no_range(visit: Opener) -> None:
    page = visit("/runs/1").page
    caught_up(page)
    drag(page, 0.5, 0.5)
    expect(page.locator("#range-from_s")).to_have_value("")  # a drag fills it at once
    drag(page, 0.25, 0.75)
    expect(page.locator("#range [data-range-from]")).to_contain_text("1.0 to 5.0 s")
    expect(page.locator("#range [data-range-from]")).to_contain_text("Includes the warm-up")


def test_a_typed_range_by_keyboard_and_its_problems(visit: Opener) -> None:
    tab = visit("/runs/1")
    page = tab.page
    caught_up(page)
    start = page.locator("#range-from_s")
    start.fill("99")
    page.keyboard.press("Enter")
    expect(page.locator("#range-from_s-problem")).to_have_text("This run has data until 6 s.")
    expect(start).to_have_attribute("aria-invalid", "true")
    start.fill("2")
    page.keyboard.press("Enter")
    expect(page.locator("#range [data-range-from]")).to_contain_text("2.0 to 6.0 s")
    expect(page.locator("#range-from_s-problem")).to_have_count(0)
    tab.forgive("422")


def test_a_range_is_shown_without_javascript(visit: Opener) -> None:
    tab = visit("/runs/1", js=False)
    page = tab.page
    page.locator("#range-to_s").fill("soon")
    page.get_by_role("button", name="Show figures").click()
    expect(page.locator("#range-to_s-problem")).to_contain_text("number")
    page.locator("#range-to_s").fill("3")
    page.get_by_role("button", name="Show figures").click()
    expect(page.locator("#range [data-range-from]")).to_contain_text("0.0 to 3.0 s")
    tab.forgive("422")
