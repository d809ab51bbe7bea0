"""Keyboard shortcuts, the event log, announcements for screen readers, and stale data."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.driver import LabProcess, endless, plan, until

from .conftest import Opener
from .pages import OPEN, click, open_plan
from .pages import live as ready

HEAR = """() => {
  window.heard = [];
  const place = document.querySelector("[data-live-announcement]");
  const options = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => window.heard.push(place.textContent)).observe(place, options);
}"""


def of(page: Page, engine: str) -> Locator:
    """Return the lines of the log of this engine."""
    return page.locator("[data-log-list] li", has=page.locator("code", has_text=re.compile(f"^{engine}$")))


@pytest.mark.full
def test_shortcuts_are_listed_and_work(visit: Opener, lab: LabProcess) -> None:
    engines = [lab.start(model)["id"] for model in ("reactor", "blocking")]
    page = visit().page
    ready(page)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    for key, engine in (("1", engines[1]), ("2", engines[0])):
        page.keyboard.press(key)
        expect(page.locator("[data-watched-id]").first).to_contain_text(engine)
    page.locator("#act-blocking").focus()
    page.keyboard.press("s")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "stopped")
    page.keyboard.press("e")
    expect(page.locator("#log-panel")).to_have_attribute("open", "")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/models")
    ready(page)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_shortcut_does_not_stop_an_engine_under_measurement(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    run = lab.submit(engine=engine, plan=endless())["id"]
    lab.wait_measuring(run)
    page = visit(f"/workbench?target={engine}").page
    ready(page)
    page.wait_for_function(
        "(id) => document.querySelector('#run-strip')?.dataset.run === String(id)", arg=run
    )
    page.keyboard.press("s")
    expect(page.locator("[data-toasts]")).to_contain_text(f"Run {run} is measuring {engine}")
    expect(page.locator("#act-reactor")).to_be_focused()
    assert lab.get(f"/engines/{engine}")["state"] == "ready"
    page.keyboard.press("Enter")
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "stopped")


def test_shortcuts_are_ignored_in_text_fields_and_can_be_disabled(visit: Opener) -> None:
    page = visit().page
    ready(page)
    open_plan(page)
    click(page.locator("#load-more > summary"))
    field = page.locator("#f-label")
    field.press_sequentially("?gmt")
    expect(field).to_have_value("?gmt")
    expect(page.locator("#keys")).to_be_hidden()
    assert page.url.endswith("/workbench")
    page.locator("[data-keys-open]").click()
    page.locator("[data-keys-on]").uncheck(force=True)
    page.keyboard.press("Escape")
    page.locator("h2").first.click()
    page.keyboard.press("t")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()
    assert page.locator("html").get_attribute("data-theme") is None
    page.reload()
    ready(page)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()


@pytest.mark.full
def test_the_log_lists_events_and_can_be_filtered(visit: Opener, lab: LabProcess) -> None:
    earlier = lab.start("prefork")["id"]
    page = visit().page
    page.locator("#log-panel > summary").press("Enter")
    lines = page.locator("[data-log-list] li")
    expect(lines.filter(has_text=f"{earlier} is ready")).to_have_count(1)
    victim = next(t["pid"] for t in lab.get(f"/engines/{earlier}/sample")["threads"] if t["role"] == "worker")
    os.kill(victim, signal.SIGKILL)
    expect(of(page, earlier).filter(has_text="was killed")).to_contain_text("stderr")
    later = lab.start("reactor")
    os.kill(later["pid"], signal.SIGKILL)
    expect(of(page, later["id"]).filter(has_text="ended unexpectedly")).to_contain_text("error")
    page.locator("[data-log-engine]").select_option(earlier)
    expect(of(page, later["id"])).to_have_count(0)
    expect(of(page, earlier).filter(has_text="was killed")).to_have_count(1)
    page.locator("[data-log-engine]").select_option("")
    page.locator("[data-log-level]").select_option(label="errors")
    expect(of(page, later["id"])).to_have_count(1)
    assert set(lines.evaluate_all("all => all.map((line) => line.dataset.level)")) == {"error"}
    page.reload()
    expect(of(page, later["id"]).filter(has_text="ended unexpectedly")).not_to_have_count(0)


@pytest.mark.full
def test_the_end_of_a_run_is_announced_to_screen_readers(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    ready(page)
    page.evaluate(HEAR)
    engine, _ = (lab.start(model)["id"] for model in ("reactor", "blocking"))
    run = lab.run(engine=engine, plan=plan(0.5, 0, vus=4, executor=OPEN, rate_per_s=100))
    page.wait_for_function(
        "(id) => window.heard.some((said) => said.includes(`Run ${id} finished`))", arg=run["id"]
    )


def test_stale_data_shows_its_time_and_turns_grey(visit: Opener, lab: LabProcess) -> None:
    lab.start("reactor")
    page = visit().page
    number = page.locator("#card-reactor [data-live='requests_per_s']")
    expect(number).to_have_text(re.compile(r"\d"))
    colour = "(e) => getComputedStyle(e).color"
    fresh = until(
        lambda: str(number.evaluate(colour)), "it has a colour: none while a newer card takes its place"
    )
    os.kill(lab.pid, signal.SIGSTOP)
    try:
        expect(page.locator("[data-live-text]")).to_have_text(
            re.compile(r"^Data is stale \(\d\d:\d\d:\d\d\)$")
        )
        expect(page.locator("body")).to_have_class(re.compile("is-stale"))
        expect(number).not_to_have_css("color", fresh)
    finally:
        os.kill(lab.pid, signal.SIGCONT)
    expect(page.locator("[data-live-text]")).to_have_text("Live")
    expect(number).to_have_css("color", fresh)
