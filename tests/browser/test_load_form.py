"""The load form in a browser: fields that do not apply are hidden, a scenario fills the others."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from app.load.protocol.plan import EXECUTORS
from app.pages.load_form import APPLIES
from app.plans.scenarios import SCENARIOS
from app.plans.text import plan_fields
from tests.app.driver import LabProcess, plan, until

from .conftest import Opener
from .pages import OPEN, click, live, open_plan


def test_each_executor_shows_its_fields(visit: Opener) -> None:
    page = visit().page
    open_plan(page)
    click(page.locator("#load-more > summary"))
    for executor in EXECUTORS:
        page.locator("#f-executor").select_option(executor)
        for name, executors in APPLIES.items():
            field = page.locator(f"#f-{name}")
            if executor in executors:
                expect(field).to_be_visible()
                expect(field).to_be_enabled()
            else:
                expect(field).to_be_hidden()
                expect(field).to_be_disabled()


def test_all_fields_are_visible_without_javascript(visit: Opener) -> None:
    page = visit(js=False).page
    page.locator("#load-plan > summary").click()
    page.locator("#load-more > summary").click()
    for name in APPLIES:
        expect(page.locator(f"#f-{name}")).to_be_visible()
    expect(page.locator("#f-trace")).not_to_be_checked()


def test_a_scenario_fills_every_field_and_editing_switches_to_custom(visit: Opener) -> None:
    page = visit().page
    open_plan(page)
    click(page.locator("#load-more > summary"))
    page.locator("#f-label").fill("mine")
    for name, scenario in SCENARIOS.items():
        page.locator("#f-scenario").select_option(name)
        expect(page.locator("[data-watch-text] span")).to_have_text(scenario.watch)
        values = plan_fields(scenario.plan)
        for field in (
            "executor",
            "vus",
            "rate_per_s",
            "work",
            "stages",
            "idle_connections",
            "pipeline",
            "placement",
        ):
            expect(page.locator(f"#f-{field}")).to_have_value(values.get(field, ""))
        expect(page.locator("#f-churn")).to_be_checked(checked=bool(scenario.plan["churn"]))
    expect(page.locator("#f-label")).to_have_value("mine")
    page.locator("#f-trace").check()
    expect(page.locator("#f-scenario")).not_to_have_value("")
    page.locator("#f-vus").fill("9")
    expect(page.locator("#f-scenario")).to_have_value("")


@pytest.mark.full
def test_an_invalid_ramp_is_reported_at_its_stages_and_then_run(visit: Opener, lab: LabProcess) -> None:
    tab = visit()
    page = tab.page
    open_plan(page)
    page.locator("#f-think_time_ms").fill("5")
    page.locator("#f-executor").select_option("ramping-arrival-rate")
    page.locator("#f-rate_per_s").fill("50")
    page.locator("#f-warmup_s").fill("0")
    page.locator("#f-stages").fill("half a second to 100")
    click(page.locator("#run-button"))
    expect(page.locator("#f-stages-problem")).to_contain_text("is not a stage")
    expect(page.locator("#f-think_time_ms")).to_be_hidden()
    before = lab.get("/runs")[0]["id"]
    page.locator("#f-stages").fill("500ms to 100, 0.5s to 200")
    click(page.locator("#run-button"))
    strip = page.locator(f'#run-strip:not([data-run="{before}"])')
    expect(strip).to_have_attribute("data-run-state", "finished")
    run = lab.get("/runs")[0]
    assert run["plan"]["stages"] == [{"duration_s": 0.5, "target": 100}, {"duration_s": 0.5, "target": 200}]
    assert run["plan"]["trace"] is False, "tracing is off by default, because a traced run is not ranked"
    tab.forgive("422")


@pytest.mark.full
def test_a_run_is_repeated_from_its_page_unchanged_or_edited(visit: Opener, lab: LabProcess) -> None:
    load = plan(590, 0, executor=OPEN, rate_per_s=40, churn=True)
    before = lab.submit(model="reactor-pool", knobs={"workers": 2}, plan=load, label="this one")
    lab.post(f"/runs/{before['id']}/stop")
    lab.wait_ended(before["id"])
    tab = visit(f"/runs/{before['id']}")
    page = tab.page
    click(page.get_by_role("button", name="Run again"))
    page.wait_for_url(f"**/runs/{before['id'] + 1}")
    tab.goto(f"/runs/{before['id']}")
    click(page.get_by_role("link", name="Edit and rerun"))
    live(page)  # or else the form is sent by the browser itself, and the run's own page comes
    expect(page.locator("#f-engine")).to_have_value("model:reactor-pool")
    expect(page.locator("#f-churn")).to_be_checked()
    page.locator("#f-vus").fill("3")
    click(page.locator("#run-button"))
    expect(page.locator("#run-strip")).to_contain_text("1 more queued")
    for number, changed in ((1, {}), (2, {"vus": 3})):
        again = lab.get(f"/runs/{before['id'] + number}")
        assert again["plan"] == before["plan"] | changed
        assert (again["model"], again["knobs"], again["label"]) == (
            "reactor-pool",
            before["knobs"],
            "this one",
        )


def test_an_engine_with_a_short_keep_alive_can_be_restarted_from_the_form(
    visit: Opener, lab: LabProcess
) -> None:
    engine = lab.start("reactor", idle_s=9)
    tab = visit()
    page = tab.page
    page.locator("#f-scenario").select_option("idle-crowd")
    open_plan(page)
    click(page.locator("#load-more > summary"))
    page.locator("#f-idle_connections").fill("20")
    page.locator("#f-engine").select_option(engine["id"])
    click(page.locator("#run-button"))
    restart = page.locator("#restart button")
    expect(restart).to_be_focused()
    expect(restart).to_contain_text(f"Restart {engine['id']} with idle_s")
    expect(page.locator("#restart")).to_contain_text("(9 s) is too short")
    page.keyboard.press("Enter")
    until(lambda: lab.get("/runs?limit=1")[0]["state"] in ("warming", "running"), "it runs")
    run = lab.get("/runs?limit=1")[0]
    after = lab.get(f"/engines/{run['engine']}")
    assert (after["port"], after["state"]) == (engine["port"], "ready") and after["knobs"]["idle_s"] > 9
    assert run["plan"]["idle_connections"] == 20
    assert lab.get(f"/engines/{engine['id']}")["state"] == "stopped"
    lab.stop(run["id"])
    tab.forgive("409|422")
