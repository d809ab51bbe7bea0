"""Conditions that tests wait for on a page, and a load that runs until the test stops it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.app.driver import plan, until

NUMBER = re.compile(r"^\d[\d,.]*$")
OPEN = "constant-arrival-rate"
# Runs until the test stops it, at a low rate.
HELD = plan(590, 0, vus=4, executor=OPEN, rate_per_s=40)
FINISH_TRANSITIONS = (
    "document.getAnimations().filter((a) => a instanceof CSSTransition).forEach((a) => a.finish())"
)
# Waits until work that the browser or the page has deferred to the next frames is done.
TWO_FRAMES = """async () => {
  for (const _ of [1, 2]) await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
}"""
# Reads the pixels of a canvas from a copy: Chromium warns of a canvas that is read more than once.
PIXELS = """(canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height)
    .getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data;
}"""
# A line of a chart has the hue of its model; axes, grid and hatching are grey.
COLOURED = f"""(panel) => {{
  const canvas = panel.querySelector("canvas");
  if (!canvas?.width || !canvas.checkVisibility()) return false;
  const data = ({PIXELS})(canvas);
  for (let i = 0; i < data.length; i += 4) {{
    const [r, g, b, a] = data.subarray(i, i + 4);
    if (a > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 40) return true;
  }}
  return false;
}}"""
PAINTED = f"""() => {{
  const canvas = document.querySelector("[data-lanes-base]");
  return canvas && canvas.width > 0 && ({PIXELS})(canvas).some((value) => value);
}}"""
# When its socket opens, a page requests each part that events refresh, unless nothing has happened since it
# was rendered. True when all of them have been swapped.
CAUGHT_UP = """() => {
  if (document.body.hasAttribute("data-current")) return !document.querySelector(".htmx-request");
  const asked = performance.getEntriesByType("resource").map(({ name }) => name);
  const parts = document.querySelectorAll('[hx-get][hx-trigger*="from:body"]:not([hx-trigger^="search-"])');
  const came = (part) => {
    const at = asked.indexOf(new URL(part.getAttribute("hx-get"), location).href);
    return at >= 0 && asked.splice(at, 1);   // two parts with one URL are requested one by one
  };
  return [...parts].every(came) && !document.querySelector(".htmx-request");
}"""


def live(page: Page) -> None:
    """Wait until the modules of the page have run and frames arrive."""
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")


def caught_up(page: Page) -> None:
    """Wait for the refreshes that the page starts itself, so that none replaces what the test uses."""
    if page.locator("body[data-live=off]").count():
        return  # no events without a login
    live(page)
    page.wait_for_function(CAUGHT_UP)


def click(what: Locator) -> None:
    """Click something that a refresh of the page may replace at any time.

    Between press and release of the mouse button a refresh can replace the element, and then nothing is
    clicked. So the mouse only checks that it could click, and the click itself is one step, on an element
    that is still in the document.
    """
    what.click(trial=True)
    until(
        lambda: what.evaluate("(element) => element.isConnected && (element.click(), true)"), "it is clicked"
    )


def start(page: Page, model: str) -> None:
    """Start a model with the button of its card, and wait until the load form has it as its target."""
    click(page.locator(f"#act-{model}"))
    card = page.locator(f"#card-{model}")
    expect(card).to_have_attribute("data-state", "ready")
    expect(page.locator("#f-engine")).to_have_value(card.get_attribute("data-engine") or "")


def open_plan(page: Page) -> None:
    """Show the fields of the plan in the load form, if they are folded."""
    if not page.locator("#load-plan[open]").count():
        click(page.locator("#load-plan > summary"))


def drawn(chart: Locator) -> None:
    """Wait until a chart shows at least one line of a model."""
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart.locator("[data-plot-empty]")).to_be_hidden()
    handle = chart.element_handle()
    chart.page.wait_for_function(COLOURED, arg=handle)


def painted(page: Page) -> None:
    """Wait until thread lanes are painted on the canvas."""
    page.wait_for_function(PAINTED)
