"""Every page by WCAG 2.2 AA, as axe-core judges it: light and dark, empty, running, in error, cut off; and by keys."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.driver import LabMaker, LabProcess, plan

from .conftest import Opener, Tab

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
# All rules in light; in dark only colours are other than they were.
JUDGE = """async (only) => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: tags };
  const CHEAP = { resultTypes: ["violations"], selectors: false, preload: false, iframes: false };
  const { violations } = await axe.run(document, { runOnly, ...CHEAP });
  const said = (n) => `${n.html.slice(0, 140)} ${(n.any[0] ?? n.all[0] ?? n.none[0])?.message ?? ""}`;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(said).join(" | ")}`);
}"""
COLOURS = ["color-contrast", "link-in-text-block"]
AT_ONCE = "document.getAnimations().filter((a) => a instanceof CSSTransition).forEach((a) => a.finish())"
OPEN_ALL = """async () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
}"""
# What a person can use, in the order of the document; of a group of radios, or of lines of code, one.
CONTROLS = """() => {
  window.walked = new Set();
  window.group = (e) => e.type === "radio" ? `radio ${e.form?.id} ${e.name}`
    : e.closest("[data-code]") && e.tagName === "A" ? "code" : e;
  const kinds = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const all = [...document.querySelectorAll(kinds)].filter((e) => e.checkVisibility({ visibilityProperty: true })
    && (e.tabIndex >= 0 || group(e) === "code") && !e.disabled && !e.closest("dialog:not([open])"));
  window.controls = new Map(all.map((e) => [group(e), e]));
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
STEP = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const seen = [e, e.closest("label"), e.parentElement].filter(Boolean).some((each) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(each);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  });
  const again = window.walked.has(window.group(e)) && window.last !== e;   // a date has several stops of its own
  window.walked.add(window.group(e));
  window.last = e;
  return { again, seen, what: e.outerHTML.slice(0, 100) };
}"""
LEFT = "() => [...window.controls].filter(([key]) => !window.walked.has(key)).map(([, e]) => e.outerHTML.slice(0, 120))"
STEPS_MAX = 400

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")


def judge(page: Page, what: str) -> list[str]:
    """Both themes; folds open, so that what they hide is judged as well. Answers the violations."""
    page.evaluate(OPEN_ALL)
    page.evaluate(AXE)
    found = [f"{what}: {each}" for each in page.evaluate(JUDGE, None)]
    page.emulate_media(color_scheme="dark")
    page.evaluate(AT_ONCE)
    return found + [f"{what}, dark: {each}" for each in page.evaluate(JUDGE, COLOURS)]


def live(page: Page) -> None:
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")


def judge_all(see: Opener, paths: Sequence[str], state: str) -> Tab:
    tab = see("/about", csp=False)  # axe itself styles what it measures
    found = []
    for path in paths:
        tab.page.emulate_media(color_scheme="light")
        tab.page.goto(path)
        live(tab.page)
        found += judge(tab.page, f"{path}, {state}")
    assert found == []
    return tab


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab with results and a comparison in its history, engines, and a run that goes."""
    lab = LabProcess(tmp_path_factory.mktemp("lab"))
    try:
        lab.run(model="reactor", plan=plan(0.5, 0), thresholds=["p(99)<1us"], label="a label")
        lab.compare(["reactor", "blocking"])
        engine = lab.start("reactor-pool")
        lab.start("blocking")
        run = lab.submit(engine=engine["id"], plan=plan(590, 0, vus=4, think_time_ms=20))
        lab.reaches(run["id"], "running")
        yield lab
        lab.tidy()
    finally:
        lab.close()


@pytest.fixture
def see(browser: Browser, busy: LabProcess) -> Iterator[Opener]:
    opener = Opener(browser, busy)
    yield opener
    opener.close()


def test_a_lab_that_is_empty_is_accessible(browser: Browser, make_lab: LabMaker) -> None:
    see = Opener(browser, make_lab())
    judge_all(see, ("/", "/runs", "/models/reactor"), "empty")
    see.close()


def test_a_lab_that_works_is_accessible(see: Opener, busy: LabProcess) -> None:
    going = busy.get("/runs")[0]["id"]
    runs = ("/runs", "/runs/1", f"/runs/{going}", "/runs/1/delete", "/runs/diff?run=2&run=3", "/runs/delete?run=1")
    others = ("/", "/live", "/comparisons", "/comparisons/1", "/comparisons/1/delete", "/models", "/about", "/api/docs")
    judge_all(see, (*runs, *others, *(f"/models/{name}" for name in MODELS)), "running")


def test_what_went_wrong_is_told_accessibly(see: Opener, busy: LabProcess) -> None:
    os.kill(busy.start("main-sub")["pid"], signal.SIGKILL)
    tab = judge_all(see, ("/", "/models/main-sub", "/runs/99999", "/nowhere", "/login"), "in error")
    page = tab.page
    page.emulate_media(color_scheme="light")
    page.goto("/")
    live(page)
    page.locator("#f-vus").fill("9999999")
    page.locator("#run-button").click()
    expect(page.locator("#f-vus-problem")).to_be_visible()
    page.keyboard.press("Escape")
    assert judge(page, "a form that was refused") == []
    tab.forgive("404|422")


def test_a_lab_that_is_out_of_reach_is_told_accessibly(browser: Browser, make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.start("reactor")
    see = Opener(browser, lab)
    tabs = [see(path, csp=False) for path in ("/", "/models/reactor")]
    for tab in tabs:
        live(tab.page)
        tab.page.evaluate(OPEN_ALL)
        expect(tab.page.locator("[data-diagram] svg")).to_be_visible()
    lab.close()
    for tab in tabs:
        expect(tab.page.locator("[data-live-badge]")).to_have_attribute("data-state", "offline")
        assert judge(tab.page, "cut off") == []
    for tab in tabs:
        tab.page.close()
        # its last attempt may be on its way when the page is closed
        tab.forgive("ERR_CONNECTION_REFUSED|Failed to load resource|closed before the connection is established")
    see.close()


def test_the_list_of_keys_is_accessible(see: Opener) -> None:
    page = see("/about", csp=False).page
    live(page)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert judge(page, "keys") == []


@pytest.mark.parametrize("path", ["/", "/runs/1", "/runs", "/models/reactor-pool", "/comparisons"])
def test_every_control_is_reached_by_tab_and_shows_that_it_has_the_focus(see: Opener, path: str) -> None:
    page = see(path).page
    live(page)
    for nothing in page.locator("[data-unwatched]").all():  # there is an engine, as soon as its frames are drawn
        expect(nothing).to_be_hidden()
    page.evaluate(OPEN_ALL)
    page.evaluate(CONTROLS)
    unseen = []
    for _ in range(STEPS_MAX):
        page.keyboard.press("Tab")
        step = page.evaluate(STEP)
        if step is None or step["again"]:
            break
        if not step["seen"]:
            unseen.append(step["what"])
    assert page.evaluate(LEFT) == []
    assert unseen == [], "no focus to be seen"
