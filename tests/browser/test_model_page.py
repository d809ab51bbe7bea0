"""The page of a model with a running engine: lanes, code highlighting, and the live diagram."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess, plan, until

from .conftest import Opener
from .pages import HELD, TWO_FRAMES, click

SLEEPS = [{"kind": "sleep", "params": {"ms": 60}}]


def highlighted(page: Page) -> set[str]:
    """Return the states of all highlighted lines of code."""
    found = page.locator(".ln[data-on]").evaluate_all("all => all.map((line) => line.dataset.states)")
    return {state for states in found for state in states.split()}


def open_diagram(page: Page) -> None:
    """Open the diagram of the workbench and scroll to it: out of sight it is not drawn.

    The lanes above move it when they are drawn.
    """
    expect(page.locator("[data-thread-rows] tr").first).to_be_visible()
    page.locator("#diagram > summary").press("Enter")
    page.locator("#diagram").scroll_into_view_if_needed()


def test_an_engine_is_started_loaded_and_stopped_on_the_model_page(visit: Opener, lab: LabProcess) -> None:
    page = visit("/models/reactor-pool", 1440, motion=True).page
    expect(page.locator("[data-moving]")).to_be_hidden()
    click(page.locator("#act-now"))
    expect(page.locator("#engine-now")).to_have_attribute("data-state", "ready")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(5)
    engine = page.locator("#engine-now").get_attribute("data-engine")
    run = lab.submit(engine=engine, plan=HELD)["id"]
    expect(page.locator("#engine-now")).to_contain_text(f"run {run}, running")
    click(page.locator("#load-now"))  # its run waits for that one
    queued = until(
        lambda: newest if (newest := lab.get("/runs")[0])["id"] != run else None, "a run is queued"
    )
    assert (queued["engine"], queued["scenario"], queued["state"]) == (engine, "slow-handler", "queued")
    expect(page.locator("#engine-now [data-live='requests_per_s']")).to_have_text(
        re.compile(r"^[1-9][\d,.]*$")
    )
    expect(page.locator("[data-diagram] [data-node='worker']")).to_have_count(4)
    expect(page.locator("[data-diagram] .dot.all").first).to_be_attached()
    expect(page.locator("[data-diagram-still]")).to_be_hidden()
    lab.clean_up()
    expect(page.locator("#act-now")).to_contain_text("Start")
    expect(page.locator("[data-moving]")).to_be_hidden()
    expect(page.locator("[data-diagram-still]")).to_be_visible()


def test_code_and_states_highlight_each_other(visit: Opener) -> None:
    page = visit("/models/reactor").page
    page.locator(".code [data-verb=reading]", has_text="recv").hover()
    expect(page.locator("[data-chip][data-on]")).to_have_attribute("data-chip", "reading")
    assert highlighted(page) == {"reading"}
    chip = page.locator("[data-chip=handling]")
    chip.focus()
    expect(page.locator(".ln[data-on]", has_text="handle_pending(")).to_have_count(1)
    page.keyboard.press("Enter")
    page.locator("h1").click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    assert highlighted(page) == {"handling", "blocked"}  # a blocked handler is in its handler
    chip.press("Enter")
    page.locator("h1").click()
    expect(page.locator(".ln[data-on]")).to_have_count(0)


@pytest.mark.parametrize(
    "model",
    [
        "main-sub",
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("blocking", "reactor", "reactor-pool", "proactor", "prefork")
        ),
    ],
)
def test_every_state_of_a_model_highlights_code_that_highlights_it(visit: Opener, model: str) -> None:
    """Also a state that the model's file does not set, but a module that it imports."""
    page = visit(f"/models/{model}").page
    for chip in page.locator("[data-chip]").all():
        state = chip.get_attribute("data-chip") or ""
        chip.focus()
        assert state in highlighted(page), state
        page.locator(f".ln[data-states~={state}] > a").first.focus()
        expect(chip).to_have_attribute("data-on", "")


def test_a_line_is_chosen_by_click_and_by_key_and_can_be_shared(visit: Opener) -> None:
    tab = visit("/models/reactor")
    page = tab.page
    line = page.locator(".ln", has_text="connection.recv(").get_attribute("id") or ""
    above = f"L{int(line[1:]) - 2}"
    page.locator(f"#{line} > a").click()
    assert page.url.endswith(f"#{line}")
    expect(page.locator(".ln:target")).to_contain_text("connection.recv")
    page.evaluate(TWO_FRAMES)
    expect(page.locator(f"#{line} > a")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.hash") == f"#{above}"
    assert highlighted(page) == {"reading"}
    page.keyboard.press("Enter")
    expect(page.locator(".ln:target")).to_have_attribute("id", above)
    expect(page.locator(".ln > a[tabindex='0']")).to_have_count(1)
    page.goto("about:blank")
    tab.goto(f"/models/reactor#{line}")
    expect(page.locator(".ln:target")).to_be_in_viewport()


@pytest.mark.full
def test_the_diagram_shows_threads_and_which_are_saturated(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", workers=2)
    page = visit(f"/workbench?target={engine['id']}", 1440, motion=True).page
    open_diagram(page)
    workers = page.locator("#diagram [data-node='worker']")
    expect(workers).to_have_count(2)
    expect(page.locator("#diagram .hot")).to_have_count(0)
    run = lab.submit(engine=engine["id"], plan=plan(590, 0, vus=24, work=SLEEPS))
    expect(page.locator("#diagram [data-node='worker'].hot")).to_have_count(2)
    expect(workers.first).to_contain_text("saturated")
    queued = page.locator("#diagram [data-node='queue'] .number")
    expect(queued).to_have_text(re.compile(r"^\d\d$"))
    expect(page.locator("#diagram [data-node='clients'] .number")).to_have_text("24")
    expect(page.locator("#diagram [data-diagram-summary]")).to_contain_text("worker 100 % busy (saturated)")
    lab.post(f"/runs/{run['id']}/stop")
    lab.wait_ended(run["id"])
    expect(page.locator("#diagram .hot")).to_have_count(0)
    expect(page.locator("#diagram .dot")).to_have_count(0)


@pytest.mark.full
def test_the_diagram_has_a_restaurant_analogy_and_respects_reduced_motion(
    visit: Opener, lab: LabProcess
) -> None:
    engine = lab.start("blocking")
    page = visit(f"/workbench?target={engine['id']}", 1440, motion=False).page
    open_diagram(page)
    run = lab.submit(engine=engine["id"], plan={**HELD, "vus": 9})
    group = page.locator("#diagram [data-node='connection']")
    expect(group).to_contain_text("9 threads")
    expect(group.locator(".cell[visibility=visible]")).to_have_count(9)
    expect(page.locator("#diagram [data-diagram-summary]")).to_contain_text(re.compile(r"[1-9][\d,.]* req/s"))
    expect(page.locator("#diagram .dot")).to_have_count(0)
    page.locator("#kitchen").check(force=True)
    expect(group.get_by_text("waiter", exact=True)).to_be_visible()
    expect(group.get_by_text("connection", exact=True)).to_be_hidden()
    expect(page.locator("#diagram .roles:visible")).to_contain_text("one waiter per table")
    lab.post(f"/runs/{run['id']}/stop")
    lab.wait_ended(run["id"])
