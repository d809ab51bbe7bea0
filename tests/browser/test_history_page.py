"""The history in a browser: filter, label, select, diff and delete, with and without JavaScript."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Route, expect

from tests.app.driver import LabProcess, until
from tests.app.stored_runs import LEDGER, keep, verdict

from .conftest import Opener, PagePool
from .pages import caught_up, click, drawn, live
from .test_every_page import scrolls_sideways

# A refresh of the list that was called off before it was sent.
CALLED_OFF = """() => {
  window.calledOff = 0;
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.sourceElement.id === "runs-list" && event.defaultPrevented) calledOff++;
  });
  document.body.dispatchEvent(new Event("runs-changed"));
}"""
RUNS: list[dict[str, Any]] = [
    {"label": "first", "ledger": LEDGER},
    {"model": "blocking", "model_title": "Blocking", "verdict": verdict("client_bound")},
    {"label": "third"},
]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    folder = tmp_path_factory.mktemp("lab")
    keep(folder, *RUNS)
    with closing(LabProcess(folder)) as lab:
        yield lab


@pytest.fixture
def see(page_pool: PagePool, past: LabProcess) -> Iterator[Opener]:
    opener = Opener(page_pool, past)
    yield opener
    opener.close()


def shown(page: Page, *ids: int) -> None:
    """These runs are listed, in this order."""
    ticks = page.locator('input[form="picked"]')
    expect(ticks).to_have_count(len(ids))
    for at, id in enumerate(ids):
        expect(ticks.nth(at)).to_have_value(str(id))


@pytest.mark.parametrize("width", [1280, 1024, 360])
@pytest.mark.parametrize("path", ["/workbench", "/runs"])
def test_a_long_word_in_a_label_fits_the_page(see: Opener, past: LabProcess, path: str, width: int) -> None:
    past.http.patch("/api/v1/runs/3", json={"label": "x" * 200}).raise_for_status()
    try:
        page = see(path, width=width).page
        until(lambda: scrolls_sideways(page) == [], f"{path} fits {width} pixels")
    finally:
        past.http.patch("/api/v1/runs/3", json={"label": "third"}).raise_for_status()


def test_the_filter_updates_list_and_url_without_a_reload(see: Opener) -> None:
    page = see("/runs").page
    shown(page, 3, 2, 1)
    page.evaluate("window.stayed = true")
    page.locator("#f-model").select_option("reactor")
    shown(page, 3, 1)
    page.locator("#f-text").press_sequentially("FIRST")
    shown(page, 1)
    assert page.evaluate("window.stayed")
    assert page.evaluate("location.search") == "?text=FIRST&model=reactor"
    page.reload()
    shown(page, 1)
    expect(page.locator("#f-text")).to_have_value("FIRST")
    page.locator("#f-text").fill("nowhere")
    expect(page.locator("#runs-list")).to_contain_text("No run matches.")
    click(page.get_by_role("link", name="Clear the filter"))
    shown(page, 3, 2, 1)


def test_a_refresh_requested_before_the_filter_does_not_undo_it(see: Opener) -> None:
    page = see("/runs").page
    live(page)
    held: list[Route] = []
    page.route(re.compile(r"/runs(\?|$)"), lambda route: held.append(route))
    page.evaluate("document.body.dispatchEvent(new CustomEvent('runs-changed'))")
    until(
        lambda: page.evaluate("true") and held, "a refresh is on its way, be it this one or the page's first"
    )
    with page.expect_request(re.compile("model=reactor")):
        page.locator("#f-model").select_option("reactor")
    for each in held:
        with contextlib.suppress(Error):  # it was given up
            each.fulfill(response=each.fetch())
    shown(page, 3, 1)


def test_the_list_is_filtered_by_a_plain_form(see: Opener) -> None:
    page = see("/runs", js=False).page
    page.locator("#f-model").select_option("blocking")
    page.get_by_role("button", name="Filter").click()
    shown(page, 2)
    assert "model=blocking" in page.url


def test_a_label_is_edited_in_place_by_keyboard(see: Opener, past: LabProcess) -> None:
    page = see("/runs").page
    label = page.locator("#label-2")
    label.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#label-text-2")).to_be_focused()
    page.keyboard.type("typed ")
    page.evaluate(CALLED_OFF)  # no reason to make the list anew under it
    page.wait_for_function("() => calledOff > 0")
    page.keyboard.type("here")
    page.keyboard.press("Enter")
    expect(label.locator("summary")).to_contain_text("typed here")
    expect(page.locator("#label-text-2")).to_be_hidden()
    assert past.get("/runs/2")["label"] == "typed here"
    past.http.patch("/api/v1/runs/2", json={"label": None})


def test_buttons_are_enabled_when_enough_runs_are_selected(see: Opener) -> None:
    page = see("/runs").page
    caught_up(page)
    compare, delete = page.locator("[data-picks-two]"), page.locator("[data-picks-any]")
    expect(compare).to_be_disabled()
    expect(delete).to_be_disabled()
    page.locator("#pick-1").check()
    expect(delete).to_be_enabled()
    expect(compare).to_be_disabled()
    page.locator("#pick-3").check()
    expect(compare).to_be_enabled()
    page.locator("#pick-2").check()
    expect(compare).to_be_disabled()
    click(delete)
    expect(page.locator("h1")).to_have_text("Delete 3 runs?")
    page.get_by_role("link", name="Cancel").click()
    shown(page, 3, 2, 1)


def test_two_selected_runs_are_compared(visit: Opener, lab: LabProcess) -> None:
    page = visit("/runs").page
    caught_up(page)
    for run in (5, 4):
        page.locator(f"#pick-{run}").check()
    click(page.locator("[data-picks-two]"))
    page.wait_for_url("**/runs/diff?a=*&b=*")
    expect(page.locator("[data-diff]")).to_contain_text("blocking")
    for chart in ("diff-percentiles", "diff-rate"):
        drawn(page.locator(f'[data-chart="{chart}"]'))
    page.locator('[data-chart="diff-percentiles"] summary').click()
    table = page.locator('[data-chart="diff-percentiles"] [data-chart-table]')
    expect(table.locator("th[scope=col]")).to_have_count(5)
    expect(table).to_contain_text("p50")
    page.locator('[data-chart="diff-rate"] summary').click()
    times = page.locator('[data-chart="diff-rate"] [data-chart-table] th[scope=row]')
    expect(times).to_have_text(["1", "2", "3", "4", "5"])
    figures = {each["name"]: each["larger"] for each in lab.get("/runs/4/diff/5")["figures"]}
    for name, shown in (("achieved_per_s", "no"), ("cpu_us", "yes")):
        assert figures[name] == (shown == "yes")
        expect(page.locator(f'[data-figure="{name}"] td').nth(4)).to_have_text(shown)
