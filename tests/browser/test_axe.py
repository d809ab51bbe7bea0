"""Every page by WCAG 2.2 AA (axe-core): light and dark, empty, running, in error; and by keyboard."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files

import pytest
from _pytest.mark import ParameterSet
from playwright.sync_api import Page, expect

from tests.app.driver import LabMaker, LabProcess

from .conftest import Opener, PagePool, Tab
from .pages import FINISH_TRANSITIONS, HELD, caught_up, click, open_plan

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
  const visible = (e) => e.checkVisibility({ visibilityProperty: true });
  const all = [...document.querySelectorAll(kinds)].filter((e) => visible(e)
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
  const again = window.walked.has(window.group(e)) && window.last !== e;   // a date has several stops
  window.walked.add(window.group(e));
  window.last = e;
  return { again, seen, what: e.outerHTML.slice(0, 100) };
}"""
LEFT = """() => [...window.controls].filter(([key]) => !window.walked.has(key))
    .map(([, e]) => e.outerHTML.slice(0, 120))"""
STEPS_MAX = 400

GOING = "/runs/{going}"  # the page of the run that goes
MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
IMPORTANT = ("/", "/experiments/reactor-stalls", "/runs/1", "/models/reactor-pool", "/comparisons/1")
PAGES = (
    "/",
    "/workbench",
    "/servers",
    "/servers/gunicorn",
    "/experiments?scope=all",
    "/experiments/summary",
    "/experiments/reactor-stalls",
    "/experiments/reactor-stalls?ask=1",
    "/experiments/proactor-efficiency",
    "/experiments/blocking-thread-per-connection",
    "/experiments/1/delete",
    "/live",
    "/runs",
    "/runs/1",
    "/runs/3",
    GOING,
    "/runs/1/delete",
    "/runs/diff?run=1&run=2",
    "/runs/delete?run=1",
    "/comparisons",
    "/comparisons/1",
    "/comparisons/1/delete",
    "/tunings",
    "/tunings/1",
    "/tunings/1/delete",
    "/models",
    "/hosts",
    "/about",
    "/api/docs",
    *(f"/models/{name}" for name in MODELS),
)
STILL = (
    "/",
    "/experiments?scope=all",
    "/experiments/summary",
    "/experiments/reactor-stalls",
    "/experiments/reactor-stalls?ask=1",
    "/experiments/proactor-efficiency",
    "/experiments/blocking-thread-per-connection",
    "/experiments/1/delete",
    "/runs/1",
    "/runs/3",
    "/comparisons/1",
    "/tunings/1",
    "/about",
    "/api/docs",
    "/models",
)  # whatever happens in the lab


def further(*paths: str) -> list[ParameterSet]:
    return [pytest.param(path, marks=pytest.mark.full) for path in paths]


def judge(page: Page, what: str, dark: bool = True) -> list[str]:
    """Return the violations in light, and those of colours in dark. All details are opened first."""
    page.evaluate(OPEN_ALL)
    page.evaluate(AXE)
    found = [f"{what}: {each}" for each in page.evaluate(JUDGE, None)]
    if not dark:
        return found
    page.emulate_media(color_scheme="dark")
    page.evaluate(FINISH_TRANSITIONS)
    return found + [f"{what}, dark: {each}" for each in page.evaluate(JUDGE, COLOURS)]


def working(lab: LabProcess, path: str) -> str:
    """Start two engines and load one of them if the page shows engines. Return the path with the run id."""
    if path in STILL:
        return path
    engine = lab.start("reactor-pool")["id"]
    lab.start("blocking")
    run = lab.submit(engine=engine, plan=HELD)["id"]
    lab.wait_state(run, "running")
    return path.format(going=run)


def opened(visit: Opener, path: str) -> Tab:
    """Open a page that axe may put its own styles into."""
    tab = visit(path, csp=False)
    caught_up(tab.page)
    return tab


@pytest.mark.parametrize("path", IMPORTANT)
def test_an_important_page_is_accessible(visit: Opener, lab: LabProcess, path: str) -> None:
    if path not in STILL:
        lab.start("reactor-pool")
    assert judge(opened(visit, path).page, path, dark=False) == []


@pytest.mark.full
@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_a_running_lab_is_accessible_in_light_and_dark(
    visit: Opener, lab: LabProcess, path: str
) -> None:
    assert judge(opened(visit, working(lab, path)).page, path) == []


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab in which nothing has happened yet."""
    with closing(LabProcess(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


@pytest.mark.full
@pytest.mark.parametrize(
    "path",
    ["/", "/workbench", "/experiments", "/experiments/pool-size", "/runs", "/comparisons", "/models/reactor"],
)
def test_a_page_of_an_empty_lab_is_accessible(page_pool: PagePool, empty: LabProcess, path: str) -> None:
    opener = Opener(page_pool, empty)
    assert judge(opened(opener, path).page, path) == []
    opener.close()


@pytest.mark.full
@pytest.mark.parametrize("path", ["/workbench", "/models/main-sub"])
def test_a_killed_engine_is_reported_accessibly(visit: Opener, lab: LabProcess, path: str) -> None:
    os.kill(lab.start("main-sub")["pid"], signal.SIGKILL)
    page = opened(visit, path).page
    expect(page.locator("main")).to_contain_text("SIGKILL")
    assert judge(page, path) == []


@pytest.mark.full
@pytest.mark.parametrize("path", ["/runs/99999", "/nowhere", "/login"])
def test_an_error_page_is_accessible(visit: Opener, path: str) -> None:
    tab = opened(visit, path)
    assert judge(tab.page, path) == []
    tab.forgive("404")


@pytest.mark.full
def test_a_rejected_form_is_accessible(visit: Opener) -> None:
    tab = opened(visit, "/workbench")
    page = tab.page
    open_plan(page)
    page.locator("#f-vus").fill("9999999")
    click(page.locator("#run-button"))
    expect(page.locator("#f-vus-problem")).to_be_visible()
    page.keyboard.press("Escape")
    assert judge(page, "a form that was refused") == []
    tab.forgive("422")


@pytest.mark.full
@pytest.mark.parametrize("path", ["/workbench", "/models/reactor"])
def test_an_unreachable_lab_is_reported_accessibly(
    page_pool: PagePool, make_lab: LabMaker, path: str
) -> None:
    lab = make_lab()
    lab.start("reactor")
    opener = Opener(page_pool, lab)
    tab = opened(opener, path)
    page = tab.page
    page.evaluate(OPEN_ALL)
    expect(page.locator("[data-thread-rows] tr").first).to_be_visible()  # the diagram stays where it is
    page.locator("[data-diagram-panel]").scroll_into_view_if_needed()  # out of sight it is not drawn
    expect(page.locator("[data-diagram] svg")).to_be_visible()
    lab.close()
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "offline")
    assert judge(page, "cut off") == []
    tab.forgive("ERR_CONNECTION_REFUSED|Failed to load resource")
    opener.close()


@pytest.mark.full
def test_the_shortcut_dialog_is_accessible(visit: Opener) -> None:
    page = opened(visit, "/about").page
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert judge(page, "keys") == []


@pytest.mark.parametrize(
    "path",
    [
        "/runs/1",
        *further(
            "/",
            "/workbench",
            "/experiments",
            "/experiments/reactor-stalls",
            "/runs",
            "/models/reactor-pool",
            "/comparisons",
        ),
    ],
)
def test_every_control_is_reached_by_tab_and_shows_its_focus(
    visit: Opener, lab: LabProcess, path: str
) -> None:
    if path not in STILL:
        lab.start("reactor-pool")
    page = visit(path).page
    caught_up(page)
    for nothing in page.locator(
        "[data-unwatched]"
    ).all():  # there is an engine, as soon as its frames are drawn
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
