"""Every page: no browser error, in light and dark, wide and narrow."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess, until

from .conftest import WIDTH, Opener, Tab
from .pages import FINISH_TRANSITIONS, caught_up

Scheme = Literal["light", "dark"]
NARROW, LARGE, LARGEST = 360, 1440, 1920
A4_WIDTH = 718  # 190 mm at 96 dots per inch: the sheet without its margins
# Each template once, each theme and each width in turn.
ONCE: tuple[tuple[str, Scheme, int], ...] = (
    ("/", "dark", LARGEST),
    ("/workbench", "dark", LARGE),
    ("/servers", "light", NARROW),
    ("/servers/gunicorn", "dark", NARROW),
    ("/servers/node", "light", WIDTH),
    ("/experiments", "light", NARROW),
    ("/experiments/summary", "dark", WIDTH),
    ("/experiments/reactor-stalls", "light", NARROW),
    ("/experiments/gil-equalises", "dark", LARGE),
    ("/experiments/1/delete", "light", NARROW),
    ("/live", "light", NARROW),
    ("/runs", "dark", NARROW),
    ("/runs/1", "light", WIDTH),
    ("/runs/1/delete", "dark", NARROW),
    ("/runs/delete?run=1&run=2", "light", NARROW),
    ("/runs/diff?a=1&b=2", "dark", WIDTH),
    ("/comparisons", "light", NARROW),
    ("/comparisons/1", "dark", LARGEST),
    ("/comparisons/1/delete", "light", NARROW),
    ("/tunings", "dark", NARROW),
    ("/tunings/1", "light", NARROW),
    ("/tunings/1/delete", "dark", NARROW),
    ("/models", "dark", NARROW),
    ("/models/reactor-pool", "light", NARROW),
    ("/hosts", "light", NARROW),
    ("/about", "dark", WIDTH),
    ("/api/docs", "light", NARROW),
    ("/login", "dark", NARROW),
    ("/nowhere", "light", NARROW),
)
PAGES = (
    *(path for path, _, _ in ONCE),
    "/experiments?scope=all",
    "/experiments/reactor-stalls?ask=1",
    "/experiments/proactor-efficiency",
    "/experiments/blocking-thread-per-connection",
    "/experiments/proactor-complexity",
    "/runs/2",
    "/runs/3",
    "/models/blocking",
    "/models/reactor",
    "/models/main-sub",
    "/models/proactor",
    "/models/prefork",
    "/runs?text=nowhere&since=yesterday",
    "/workbench?again=2",
    "/runs/99999",
)
ERRORS = ("/runs/99999", "/nowhere")
MOVING = (
    "/workbench",
    "/live",
    "/models/reactor-pool",
    "/models/blocking",
    "/workbench?again=2",
)  # they show engines
CONTRAST_MIN = 4.5
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# The text of every element that itself contains text, against the nearest ground that is opaque.
CONTRAST = """(least) => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour.startsWith("rgb") && (parts(colour)[3] ?? 1) === 1) return parts(colour);
    }
    return [255, 255, 255];
  };
  const bad = new Set();
  let seen = 0;
  for (const e of document.querySelectorAll("main *, header *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest("svg, [disabled], [aria-disabled=true], .sr, .skip")) continue;
    const colour = getComputedStyle(e).color;
    if (!colour.startsWith("rgb(")) continue;
    seen++;
    const [a, b] = [light(parts(colour)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const text = e.textContent.trim().slice(0, 40);
    if (ratio < least) bad.add(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${text}`);
  }
  if (seen < 8) bad.add(`only ${seen} texts were looked at`);
  return [...bad];
}"""
NAMELESS = """() => [...document.querySelectorAll(
    "button, a[href], input:not([type=hidden]), select, textarea, summary"
  )].filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length
    || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML.slice(0, 120))"""
TWICE = """() => {
  const all = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return all.filter((id, i) => all.indexOf(id) !== i);
}"""


def settled(page: Page) -> None:
    """Its modules have run: the live badge has turned, and each chart is drawn or says why not."""
    caught_up(page)
    for chart in page.locator(".chart .plot:visible").all():
        expect(chart.locator("canvas, [data-plot-empty]:not([hidden])").first).to_be_visible()


def scrolls_sideways(page: Page) -> list[str]:
    """Nothing, or the elements that stick out."""
    if page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"):
        return []
    out = """() => {
      const width = document.documentElement.clientWidth, end = (e) => {
        const box = e.getBoundingClientRect();
        const visible = getComputedStyle(e).overflowX === "visible";
        return Math.max(box.right, visible ? box.left + e.scrollWidth : 0);
      };
      const all = [...document.querySelectorAll("body *")]
        .filter((e) => end(e) > width && !e.closest(".scroll, pre"));
      return all.slice(-5).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)}`);
    }"""
    return list(page.evaluate(out)) or ["the page"]


def opened(visit: Opener, lab: LabProcess, path: str, scheme: Scheme, width: int) -> Tab:
    """Open a page, with engines in the lab where it shows them."""
    if path in MOVING:
        for model in ("reactor-pool", "blocking"):
            lab.start(model)
    tab = visit(path, width, dark=scheme == "dark")
    settled(tab.page)
    if path in ERRORS:
        expect(tab.page.locator("[data-detail]")).not_to_be_empty()
        tab.forgive("404")
    return tab


def is_sound(page: Page) -> None:
    """It has one heading, a title, ids that are given once, and a name for each control."""
    expect(page.locator("h1")).to_have_count(1)
    assert page.title().endswith("Thread Model Lab")
    assert page.evaluate(TWICE) == [], "ids that are given twice"
    assert page.evaluate(NAMELESS) == [], "controls without a name"


def can_be_read(page: Page, scheme: Scheme) -> None:
    """Its ground is that of the theme, and its texts stand out from it."""
    page.evaluate(FINISH_TRANSITIONS)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground[:3]) < 60) == (scheme == "dark")
    assert page.evaluate(CONTRAST, CONTRAST_MIN) == [], f"too little contrast in {scheme}"


def fits(page: Page, width: int) -> None:
    """It does not scroll sideways, once its charts are drawn for this width."""
    until(lambda: scrolls_sideways(page) == [], f"nothing is wider than {width} pixels", every_s=0.05)


@pytest.mark.parametrize(("path", "scheme", "width"), ONCE, ids=[path for path, _, _ in ONCE])
def test_a_page_is_sound(visit: Opener, lab: LabProcess, path: str, scheme: Scheme, width: int) -> None:
    page = opened(visit, lab, path, scheme, width).page
    is_sound(page)
    can_be_read(page, scheme)
    fits(page, width)


@pytest.mark.full
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_in_light_and_dark_wide_and_narrow(visit: Opener, lab: LabProcess, path: str) -> None:
    page = opened(visit, lab, path, "light", WIDTH).page
    is_sound(page)
    fits(page, WIDTH)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        can_be_read(page, scheme)
    for width in (LARGE, LARGEST, NARROW):
        page.set_viewport_size({"width": width, "height": 800})
        fits(page, width)


@pytest.mark.full
@pytest.mark.parametrize(
    "path", ["/", "/workbench", "/experiments/reactor-stalls", "/runs/1", "/models/main-sub"]
)
def test_a_page_that_is_opened_narrow_and_dark_is_sound(visit: Opener, lab: LabProcess, path: str) -> None:
    fits(opened(visit, lab, path, "dark", NARROW).page, NARROW)


def test_the_theme_can_be_chosen_and_is_remembered(visit: Opener) -> None:
    page = visit("/about").page
    button = page.locator("[data-theme-toggle]")
    expect(button).to_have_text("Theme: auto")
    button.click()
    expect(button).to_have_text("Theme: light")
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_page_loads_nothing_from_other_hosts(visit: Opener, lab: LabProcess) -> None:
    asked: list[str] = []
    tab = visit("/about")
    page = tab.page
    page.on("request", hear := lambda request: asked.append(request.url))
    for path in ("/", "/runs/1"):
        tab.goto(path)
        settled(page)
    page.remove_listener("request", hear)
    assert asked and all(url.startswith((lab.url, "data:")) for url in asked)


# Bytes that were really sent, by the address: nothing of what a browser had kept.
SENT = """() => performance.getEntriesByType("resource").filter(({ transferSize }) => transferSize)
    .map(({ name }) => name)"""


def test_the_second_page_is_served_from_the_browser_cache(visit: Opener) -> None:
    page = visit("/", script="window.fresh = true").page  # a page with its own cache
    settled(page)
    first = page.evaluate(SENT)
    assert len([name for name in first if "/static/" in name]) > 20
    page.goto(page.url + "runs")
    settled(page)
    page.goto(page.url.removesuffix("runs"))
    settled(page)
    again = page.evaluate(SENT)
    assert [name for name in again if "/static/" in name] == []
    assert len(again) + 1 <= 5, "the page itself, and what it asks the lab for"


# Of what is wider than the place it stands in, and would be cut off.
CUT = """() => [...document.querySelectorAll("main *")].filter((e) => e.checkVisibility()
  && e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).overflowX !== "visible"
  && !e.matches(".sr, canvas, svg *"))
  .map((e) => `${e.tagName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""


# Two entries become ten, with names that are as long as those of real ones.
MORE_ENTRIES = """() => document.querySelectorAll(".table tr").forEach((row) => {
  for (let n = 0; n < 8; n++) row.append(row.lastElementChild.cloneNode(true));
})"""


@pytest.mark.full
@pytest.mark.parametrize(
    "path", ["/runs", "/runs/1", "/runs/diff?a=1&b=2", "/comparisons/1", "/models/reactor"]
)
def test_a_printed_page_is_not_cut_off(visit: Opener, path: str) -> None:
    page = visit(path, A4_WIDTH).page
    settled(page)
    page.evaluate(MORE_ENTRIES)
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == []
    assert scrolls_sideways(page) == []
    page.emulate_media(media="screen")


PRINTED = ("/", "/experiments/summary", "/runs/1")
ALSO_PRINTED = (
    "/experiments",
    "/experiments/reactor-stalls",
    "/workbench",
    "/models",
    "/models/reactor-pool",
    "/runs",
    "/comparisons/1",
    "/about",
)
CONTROLS = "nav, header.top, form, button:not([data-answer-filter]), select, textarea, input"


@pytest.mark.parametrize(
    "path", [*PRINTED, *(pytest.param(path, marks=pytest.mark.full) for path in ALSO_PRINTED)]
)
def test_a_dark_page_is_printed_dark_on_white_without_controls(visit: Opener, path: str) -> None:
    page = visit(path, A4_WIDTH, dark=True).page
    settled(page)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    can_be_read(page, "light")
    shown = f"""() => [...document.querySelectorAll("{CONTROLS}")].filter((e) => e.checkVisibility())
        .map((e) => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(shown) == []
    page.emulate_media(media="screen")
