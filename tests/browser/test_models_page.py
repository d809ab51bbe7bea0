"""The model pages: terms of the literature, restaurant analogy, and the prefork model at work."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.sync_api import expect

from tests.app.driver import LabProcess, until

from .conftest import Opener
from .pages import HELD, live

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
COLOUR = "(e) => getComputedStyle(e).backgroundColor"


def test_a_model_page_has_literature_and_a_restaurant_analogy(visit: Opener) -> None:
    page = visit("/models/reactor-pool").page
    literature = page.locator(".literature")
    expect(literature).to_contain_text("Half-Sync/Half-Async")
    expect(literature).to_contain_text("POSA2")
    expect(literature.locator("code").first).to_have_text("reply=reactor")
    expect(page.get_by_role("heading", name="Used by")).to_be_visible()
    plain, kitchen = (page.locator(f".roles .words-{kind}").first for kind in ("plain", "kitchen"))
    expect(kitchen).to_be_hidden()
    page.locator("#kitchen").check(force=True)
    expect(kitchen).to_be_visible()
    expect(plain).to_be_hidden()


def test_each_model_has_a_diagram_and_its_own_colour(visit: Opener, lab: LabProcess) -> None:
    page = visit("/models").page
    models = lab.get("/models")
    expect(page.locator(".model-list .diagram")).to_have_count(len(models))
    colours = [page.locator(f'[data-model="{m["name"]}"] .marker').first.evaluate(COLOUR) for m in models]
    assert len(set(colours)) == len(models)


@pytest.mark.full
@pytest.mark.parametrize("model", MODELS)
def test_each_state_in_the_legend_of_a_model_highlights_lines_of_its_code(visit: Opener, model: str) -> None:
    page = visit(f"/models/{model}").page
    live(page)
    chips = page.locator("[data-chip]")
    assert chips.count()
    dark = []
    for chip in chips.all():
        chip.focus()
        expect(chip).to_have_attribute("data-on", "")
        if not page.locator(".ln[data-on]").count():
            dark.append(chip.get_attribute("data-chip"))
    assert dark == []


def test_the_lanes_of_prefork_show_its_processes_and_a_replacement(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("prefork")
    page = visit(f"/workbench?target={engine['id']}", 1600).page
    rows = page.locator("[data-thread-rows] tr")
    expect(rows).to_have_count(3)
    expect(rows.locator("th")).to_have_text(["master", "worker 1", "worker 2"])
    expect(page.locator("#card-prefork [data-live='thread_count']")).to_have_text("3")
    run = lab.submit(engine=engine["id"], plan=HELD)
    lab.wait_state(run["id"], "running")
    victim = next(
        t["pid"]
        for t in lab.get(f"/engines/{engine['id']}/sample")["threads"]
        if (t["role"], t["index"]) == ("worker", 0)
    )
    expect(rows.nth(1)).to_contain_text(str(victim))
    os.kill(victim, signal.SIGKILL)
    expect(rows.nth(1)).not_to_contain_text(str(victim))
    expect(rows).to_have_count(3)
    expect(page.locator("#card-prefork")).to_have_attribute("data-state", "ready")
    until(lambda: lab.get(f"/engines/{engine['id']}/log"), "the log says it")
    assert lab.get(f"/runs/{run['id']}")["state"] == "running"
