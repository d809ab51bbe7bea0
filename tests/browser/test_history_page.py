"""The history in a browser: filtered, named, ticked, compared and thrown away, with and without JavaScript."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from tests.app.driver import LabProcess, plan, until
from tests.app.past import LEDGER, keep, verdict

from .conftest import Opener

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
def see(browser: Browser, past: LabProcess) -> Iterator[Opener]:
    opener = Opener(browser, past)
    yield opener
    opener.close()


def shown(page: Page, *ids: int) -> None:
    """These runs are listed, in this order."""
    ticks = page.locator('input[form="picked"]')
    expect(ticks).to_have_count(len(ids))
    for at, id in enumerate(ids):
        expect(ticks.nth(at)).to_have_value(str(id))


def test_the_list_is_filtered_without_a_reload_and_the_address_follows(see: Opener) -> None:
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
    page.get_by_role("link", name="Clear the filter").click()
    shown(page, 3, 2, 1)


def test_a_refresh_that_was_asked_before_the_filter_does_not_undo_it(see: Opener) -> None:
    page = see("/runs").page
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")
    held: list[Route] = []
    page.route(re.compile(r"/runs(\?|$)"), lambda route: held.append(route))
    page.evaluate("document.body.dispatchEvent(new CustomEvent('run-changed'))")
    until(lambda: page.evaluate("true") and held, "a refresh is on its way, be it this one or the page's first")
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
    page.evaluate("document.body.dispatchEvent(new Event('run-changed'))")  # no reason to make the list anew under it
    page.keyboard.type("here", delay=100)
    page.keyboard.press("Enter")
    expect(label.locator("summary")).to_contain_text("typed here")
    expect(page.locator("#label-text-2")).to_be_hidden()
    assert past.get("/runs/2")["label"] == "typed here"
    past.http.patch("/api/v1/runs/2", json={"label": None})


def test_buttons_wait_until_enough_is_ticked(see: Opener) -> None:
    page = see("/runs").page
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
    delete.click()
    expect(page.locator("h1")).to_have_text("Delete 3 runs?")
    page.get_by_role("link", name="Keep them").click()
    shown(page, 3, 2, 1)


def test_two_ticked_runs_are_put_side_by_side(visit: Opener, lab: LabProcess) -> None:
    for model in ("reactor", "blocking"):
        lab.run(model=model, plan=plan(1.0, 0))
    page = visit("/runs").page
    for tick in page.locator('input[form="picked"]').all()[:2]:
        tick.check()
    page.locator("[data-picks-two]").click()
    page.wait_for_url("**/runs/diff?a=*&b=*")
    expect(page.locator("[data-diff]")).to_contain_text("blocking")
    for chart in ("diff-percentiles", "diff-rate"):
        expect(page.locator(f'[data-chart="{chart}"] canvas')).to_be_visible()
    page.locator('[data-chart="diff-percentiles"] summary').click()
    table = page.locator('[data-chart="diff-percentiles"] [data-chart-table]')
    expect(table.locator("th[scope=col]")).to_have_count(5)
    expect(table).to_contain_text("p50")
    expect(page.locator('[data-figure="achieved_per_s"] td').nth(4)).to_have_text("within" if within(lab) else "larger")


def within(lab: LabProcess) -> bool:
    """What the API says of the rate of the two newest runs."""
    b, a = (run["id"] for run in lab.get("/runs")[:2])
    figures = lab.get(f"/runs/{a}/diff/{b}")["figures"]
    return not next(each["larger"] for each in figures if each["name"] == "achieved_per_s")
