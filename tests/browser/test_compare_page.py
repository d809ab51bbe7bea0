"""Comparisons on their page: from the form to the answer, live and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess, plan, until

from .conftest import Opener
from .pages import HELD, OPEN, click, live

TINY = {"rate_per_s": "100", "vus": "4", "duration_s": "0.5", "warmup_s": "0.1"}


def fill(page: Page, models: tuple[str, ...], rounds: str) -> None:
    """Tick these models, and make the rounds tiny."""
    for box in page.locator(".entries input[type=checkbox]").all():
        box.set_checked(box.get_attribute("name") in {f"tick_{model}" for model in models})
    page.locator("#compare-plan").evaluate("(fold) => { fold.open = true }")
    for name, value in {**TINY, "rounds": rounds}.items():
        page.locator(f"#f-{name}").fill(value)


def test_a_comparison_from_the_form_to_its_result(visit: Opener, lab: LabProcess) -> None:
    before = lab.submit(model="reactor", plan=HELD)[
        "id"
    ]  # its trials wait for this run, so it is seen under way
    page = visit("/comparisons").page
    live(page)
    page.locator("#compare-more").evaluate("(fold) => { fold.open = true }")
    page.locator("#f-more_1").select_option("reactor-pool")
    page.locator("[name=knobs_more_1]").fill("workers=2")
    fill(page, ("reactor-pool",), "1")
    click(page.locator("#compare-button"))
    expect(page).to_have_url(re.compile(r"/comparisons/\d+$"))
    page.evaluate("window.stayed = true")
    main = page.locator("#comparison-main")
    expect(main).to_have_attribute("data-comparison-state", "running")
    lab.post(f"/runs/{before}/stop")
    expect(main).to_have_attribute("data-comparison-state", "finished")
    assert page.evaluate("window.stayed"), "it has changed by events, without a reload"
    id = int(page.url.rpartition("/")[2])
    view = lab.get(f"/comparisons/{id}")
    entries = [(entry["model"], entry["knobs"]) for entry in view["entries"]]
    assert entries == [("reactor-pool", {}), ("reactor-pool", {"workers": 2})]
    for said in view["result"]["said"]:
        expect(page.locator(".verdict")).to_contain_text(said)
    expect(page.locator(".verdict")).to_contain_text(view["rule"])
    expect(page.locator(".intervals li")).to_have_count(2)
    expect(page.locator(".interval .dot")).to_have_count(2)
    expect(page.locator(".interval .dot.out")).to_have_count(
        sum(bool(run["why_not"]) for run in view["runs"])
    )
    expect(page.locator(".curves .curve")).to_have_count(2)
    places = [standing["place"] for standing in view["result"]["standings"]]
    shown = page.locator(".intervals .place").all_inner_texts()
    assert shown == [f"{places[i]}." if places[i] else "–" for i in view["result"]["order"]]
    for run in view["runs"]:
        expect(page.locator(f'td a[href="/runs/{run["run"]}"]')).to_be_visible()
    click(page.locator(f'td a[href="/runs/{view["runs"][0]["run"]}"]'))
    expect(page.get_by_role("link", name=f"part of comparison {id}")).to_be_visible()


@pytest.mark.full
def test_a_comparison_works_without_javascript(visit: Opener, lab: LabProcess) -> None:
    tab = visit("/comparisons", js=False)
    page = tab.page
    page.locator("#compare-plan summary").click()
    for box in page.locator(".entries input[type=checkbox]").all():
        box.set_checked(box.get_attribute("name") == "tick_reactor")
    page.locator("[name=knobs_reactor]").fill("workers=2")
    page.locator("#f-thresholds").fill("p(99)<20s\nerrors<1%")
    page.locator("#f-rounds").fill("9")
    page.locator("#f-duration_s").fill("10")
    page.locator("#f-rate_per_s").fill("40")
    page.locator("#compare-button").click()
    expect(page.locator(".entries .problem")).to_contain_text("workers is not a knob")
    expect(page.locator("[name=knobs_reactor]")).to_have_value("workers=2")
    expect(page.locator("#f-duration_s")).to_have_value("10")
    page.locator("[name=knobs_reactor]").fill("idle_s=30")
    page.locator("#compare-button").click()
    expect(page.locator("h1")).to_have_text("40 req/s")
    id = int(page.url.rpartition("/")[2])
    assert lab.get(f"/comparisons/{id}")["thresholds"] == ["p(99)<20s", "errors<1%"]
    page.locator("#stop-comparison").click()
    until(lambda: lab.get(f"/comparisons/{id}")["state"] == "stopped", "it has stopped")
    page.reload()  # what a person without JavaScript does
    expect(page.locator(".notice")).to_contain_text("Stopped early")
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("h1")).to_have_text(f"Delete comparison {id}?")
    page.locator("button.primary").click()
    page.wait_for_url("**/comparisons")
    tab.forgive("422")
    assert id not in [view["id"] for view in lab.get("/comparisons")]


def test_the_list_of_comparisons_is_updated_live(visit: Opener, lab: LabProcess) -> None:
    page = visit("/comparisons").page
    live(page)
    spec = {"models": ["reactor"], "rounds": 1, "plan": plan(0.5, 0, vus=4, executor=OPEN, rate_per_s=100)}
    id = lab.post("/comparisons", spec).json()["id"]
    row = page.locator("tr", has=page.locator(f'a[href="/comparisons/{id}"]'))
    expect(row).to_contain_text(re.compile(r"CPU per request [\d.]+ µs|not valid"))
