"""Every page: no complaint of the browser, in light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.driver import LabProcess, plan, until

from .conftest import Opener

PAGES = (
    "/", "/live", "/runs", "/runs/1", "/runs/2", "/runs/1/delete", "/comparisons", "/comparisons/1",
    "/comparisons/1/delete", "/models", "/models/blocking", "/models/reactor",
    "/models/reactor-pool", "/models/main-sub", "/models/proactor", "/models/prefork", "/about", "/api/docs",
    "/runs?text=nowhere&since=yesterday", "/runs/diff?a=1&b=2", "/runs/delete?run=1&run=2", "/?again=2",
    "/runs/99999", "/nowhere",
)  # fmt: skip
ERRORS = ("/runs/99999", "/nowhere")
NARROW = 360
CONTRAST_MIN = 4.5
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# The text of every element that has text of its own, against the nearest ground that is opaque.
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
    if (ratio < least) bad.add(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`);
  }
  if (seen < 8) bad.add(`only ${seen} texts were looked at`);
  return [...bad];
}"""
AT_ONCE = "document.getAnimations().filter((a) => a instanceof CSSTransition).forEach((a) => a.finish())"
NAMELESS = """() => [...document.querySelectorAll(
    "button, a[href], input:not([type=hidden]), select, textarea, summary"
  )].filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length
    || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML.slice(0, 120))"""
TWICE = """() => {
  const all = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return all.filter((id, i) => all.indexOf(id) !== i);
}"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab with two runs and a comparison in its history, and two engines."""
    with closing(LabProcess(tmp_path_factory.mktemp("lab"))) as lab:
        mix = [{"kind": "plaintext", "weight": 9}, {"kind": "sleep", "params": {"ms": 2}}]
        lab.run(model="reactor", plan=plan(1.0, 0.5), thresholds=["p(99)<1us"], label="a label")
        lab.run(model="reactor-pool", plan=plan(1.0, executor="constant-arrival-rate", rate_per_s=300, work=mix))
        lab.compare(["reactor", "reactor"])
        lab.start("reactor-pool")
        lab.start("blocking")
        yield lab


@pytest.fixture
def see(browser: Browser, filled: LabProcess) -> Iterator[Opener]:
    opener = Opener(browser, filled)
    yield opener
    opener.close()


def settled(page: Page) -> None:
    """Its modules have run: the live badge has turned, and each chart is drawn or says why not."""
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")
    for chart in page.locator(".chart .plot:visible").all():
        expect(chart.locator("canvas, [data-plot-empty]:not([hidden])").first).to_be_visible()


def scrolls_sideways(page: Page) -> list[str]:
    """Nothing, or the elements that stick out."""
    if page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"):
        return []
    out = """() => {
      const width = document.documentElement.clientWidth, end = (e) => {
        const box = e.getBoundingClientRect();
        return Math.max(box.right, getComputedStyle(e).overflowX === "visible" ? box.left + e.scrollWidth : 0);
      };
      const all = [...document.querySelectorAll("body *")].filter((e) => end(e) > width && !e.closest(".scroll, pre"));
      return all.slice(-5).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)}`);
    }"""
    return list(page.evaluate(out)) or ["the page"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_in_light_and_dark_wide_and_narrow(see: Opener, path: str) -> None:
    tab = see(path)
    page = tab.page
    settled(page)
    expect(page.locator("h1")).to_have_count(1)
    assert page.title().endswith("Thread Model Lab")
    assert page.evaluate(TWICE) == [], "ids that are given twice"
    assert page.evaluate(NAMELESS) == [], "controls without a name"
    assert scrolls_sideways(page) == []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(AT_ONCE)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (max(ground[:3]) < 60) == (scheme == "dark")
        assert page.evaluate(CONTRAST, CONTRAST_MIN) == [], f"too little contrast in {scheme}"
    page.set_viewport_size({"width": NARROW, "height": 800})
    until(lambda: scrolls_sideways(page) == [], f"nothing is wider than {NARROW} pixels")  # charts are drawn anew first
    if path in ERRORS:
        expect(page.locator("[data-detail]")).not_to_be_empty()
        tab.forgive("404")


@pytest.mark.parametrize("path", ["/", "/runs/1", "/models/main-sub"])
def test_a_page_that_is_opened_narrow_and_dark_is_sound(see: Opener, path: str) -> None:
    page = see(path, NARROW, dark=True).page
    settled(page)
    assert scrolls_sideways(page) == []


def test_the_theme_can_be_chosen_and_is_remembered(see: Opener) -> None:
    page = see("/about").page
    button = page.locator("[data-theme-toggle]")
    expect(button).to_have_text("Theme: auto")
    button.click()
    expect(button).to_have_text("Theme: light")
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_nothing_comes_from_elsewhere(browser: Browser, filled: LabProcess) -> None:
    opener = Opener(browser, filled)
    asked: list[str] = []
    page = opener("/about").page
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/runs/1"):
        page.goto(path)
        settled(page)
    opener.close()
    assert asked and all(url.startswith((filled.url, "data:")) for url in asked)
