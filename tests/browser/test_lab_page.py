"""The main job in a browser: start a model, load it, read a verdict; and what happens when things go wrong."""

from __future__ import annotations

import os
import re
import signal

import httpx
from playwright.sync_api import Browser, Page, Route, expect

from tests.app.driver import ENDED, LabMaker, LabProcess, plan, until

from .conftest import Opener

NUMBER = re.compile(r"^[\d,.]+$")


def start(page: Page, model: str) -> None:
    page.locator(f"#act-{model}").click()
    expect(page.locator(f"#card-{model}")).to_have_attribute("data-state", "ready")


def by_hand(page: Page, **fields: str) -> None:
    """Fill the load form, which turns it to `By hand`."""
    for name, value in fields.items():
        page.locator(f"#f-{name}").fill(value)
    expect(page.locator("#scenario-by-hand")).to_be_checked()


def test_a_model_starts_by_click_and_its_numbers_move(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    expect(page.locator("[data-card]")).to_have_count(6)
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")
    start(page, "reactor-pool")
    (engine,) = (each for each in lab.get("/engines") if each["exit"] is None)
    card = page.locator("#card-reactor-pool")
    expect(card).to_contain_text(engine["id"])
    expect(card.locator('[data-live="thread_count"]')).to_have_text("5")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(5)
    expect(page.locator("#load-target")).to_contain_text(engine["id"])
    run = lab.submit(engine=engine["id"], plan=plan(3.0, 0))
    expect(card.locator('[data-live="requests_per_s"]')).to_have_text(re.compile(r"^[1-9][\d,.]*$"))
    expect(card.locator('[data-live="p99_us"]')).to_have_text(re.compile(r"[µm]?s$"))
    expect(card.locator('[data-live="connections_total"]')).to_have_text("8")
    expect(page.locator("[data-conns-panel] [data-live='requests']")).to_have_text(NUMBER)
    lab.ended(run["id"])
    page.locator("#act-reactor-pool").click()
    expect(card).to_have_attribute("data-state", "stopped")
    expect(page.locator("#load-target")).not_to_contain_text(engine["id"])


def test_a_bad_knob_is_said_beside_its_field_and_nothing_starts(visit: Opener, lab: LabProcess) -> None:
    tab = visit()
    page = tab.page
    before = lab.get("/engines")
    page.locator("#knobs-reactor-pool > summary").click()
    page.locator("#knob-reactor-pool-workers").fill("9999")
    page.locator("#act-reactor-pool").click()
    problem = page.locator("#knob-reactor-pool-workers-problem")
    expect(problem).to_contain_text("workers must be from")
    field = page.locator("#knob-reactor-pool-workers")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("9999")
    assert lab.get("/engines") == before
    field.fill("2")
    page.locator("#act-reactor-pool").click()
    expect(page.locator("#card-reactor-pool")).to_have_attribute("data-state", "ready")
    expect(page.locator("#knob-reactor-pool-workers-problem")).to_have_count(0)
    assert lab.get("/engines")[-1]["knobs"]["workers"] == 2
    tab.forgive("422")


def test_a_load_test_from_the_form_to_its_verdict(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "reactor")
    expect(page.locator("#f-engine")).to_have_value(lab.get("/engines")[-1]["id"])
    by_hand(page, vus="8", duration_s="1.5", warmup_s="0.5")
    page.locator("#run-button").click()
    strip = page.locator("#run-strip")
    expect(strip).to_have_attribute("aria-label", "Run in progress")
    expect(strip.locator("[data-progress]")).to_be_visible()
    expect(strip.locator('[data-run-live="achieved_per_s"]')).to_have_text(NUMBER)
    expect(page.locator("#run-button")).to_have_text("Queue this run")
    expect(strip).to_have_attribute("data-run-state", "finished", timeout=10_000)
    run = lab.get("/runs")[0]
    expect(strip).to_contain_text(run["verdict"]["title"])
    expect(page.locator("#run-button")).to_have_text("Run")
    strip.locator("h2 a").click()
    page.wait_for_url(f"**/runs/{run['id']}")
    expect(page.locator("#verdict")).to_have_text(run["verdict"]["title"])
    expect(page.locator(".verdict")).to_contain_text(run["verdict"]["because"][0])
    for chart in ("percentiles", "rate", "p99", "load"):
        expect(page.locator(f'[data-chart="{chart}"] canvas')).to_be_visible()
        expect(page.locator(f'[data-chart="{chart}"] [data-plot-empty]')).to_be_hidden()
    page.locator('[data-chart="percentiles"] summary').click()
    expect(page.locator('[data-chart="percentiles"] [data-chart-table]')).to_contain_text("p50")
    expect(page.locator(".clocks")).to_contain_text("p99.9")
    page.goto("/runs")
    expect(page.locator("table.runs tbody tr").first).to_contain_text("reactor", ignore_case=True)
    expect(page.locator("table.runs")).to_contain_text(run["verdict"]["title"], ignore_case=True)


def test_the_last_runs_follow_what_becomes_of_them(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    page.evaluate("window.stayed = true")
    run = lab.submit(model="reactor", plan=plan(60, 0, executor="constant-arrival-rate", rate_per_s=100))["id"]
    last = page.locator("#last-runs-panel tbody tr").first
    expect(last.get_by_role("link")).to_have_attribute("href", f"/runs/{run}")
    expect(last).to_contain_text("running")
    lab.post(f"/runs/{run}/stop")
    title = lab.ended(run)["verdict"]["title"]
    expect(last).to_contain_text(title, ignore_case=True)
    expect(last).not_to_contain_text("running")
    assert page.evaluate("window.stayed")


def test_a_wrong_plan_is_said_beside_its_field_and_nothing_is_queued(visit: Opener, lab: LabProcess) -> None:
    tab = visit()
    page = tab.page
    before = lab.get("/runs")
    by_hand(page, vus="9999999", work="1% nonsense")
    page.locator("#run-button").click()
    expect(page.locator("#f-work-problem")).to_contain_text("nonsense")
    page.locator("#f-work").fill("100% plaintext")
    page.locator("#run-button").click()
    expect(page.locator("#f-vus-problem")).to_contain_text("whole number from 1 to")
    expect(page.locator("#f-vus")).to_have_value("9999999")
    assert lab.get("/runs") == before
    tab.forgive("422")


def test_a_threshold_may_have_spaces_and_each_line_is_one(visit: Opener, lab: LabProcess) -> None:
    before = max((run["id"] for run in lab.get("/runs")), default=0)
    page = visit().page
    by_hand(page, vus="4", duration_s="0.5", warmup_s="0")
    page.locator("#load-more > summary").click()
    page.locator("#f-thresholds").fill("p(99) < 20s\nerrors < 1%")
    page.locator("#run-button").click()
    expect(page.locator("#run-strip")).to_have_attribute("data-run", str(before + 1))
    expect(page.locator("#run-strip")).to_have_attribute("data-run-state", "finished")
    assert [each["text"] for each in lab.get("/runs")[0]["thresholds"]] == ["p(99) < 20s", "errors < 1%"]


def test_a_run_is_stopped_from_the_page(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "blocking")
    by_hand(page, vus="4", duration_s="60", warmup_s="0")
    page.locator("#run-button").click()
    expect(page.locator('[data-run-live="achieved_per_s"]')).to_have_text(NUMBER)
    page.locator("button#stop-run").click()
    expect(page.locator("#run-strip")).to_have_attribute("data-run-state", "stopped")
    expect(page.locator("#run-strip")).to_contain_text("stopped")
    page.goto(f"/runs/{lab.get('/runs')[0]['id']}")
    expect(page.locator("main")).to_contain_text("Ended early")


def test_a_page_of_a_run_that_goes_becomes_its_result(visit: Opener, lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=plan(2.0, 0))
    page = visit(f"/runs/{run['id']}").page
    expect(page.locator('[data-run-live="achieved_per_s"]').first).to_have_text(NUMBER)
    expect(page.locator("#verdict")).to_be_visible()
    expect(page.locator('[data-chart="percentiles"] canvas')).to_be_visible()


def test_a_killed_engine_says_which_signal(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "main-sub")
    pid = next(engine["pid"] for engine in lab.get("/engines") if engine["pid"])
    os.kill(pid, signal.SIGKILL)
    card = page.locator("#card-main-sub")
    expect(card).to_have_attribute("data-state", "exited")
    expect(card).to_contain_text("SIGKILL")
    expect(page.locator("#act-main-sub")).to_contain_text("Start again")
    start(page, "main-sub")
    expect(card).not_to_contain_text("SIGKILL")


def test_two_engines_of_one_model_stand_on_its_card(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "reactor-pool")
    page.locator("#knobs-reactor-pool > summary").click()
    page.locator("#knob-reactor-pool-workers").fill("2")
    page.locator("#another-reactor-pool").click()
    siblings = page.locator("#card-reactor-pool .siblings li")
    expect(siblings).to_have_count(1)
    siblings.get_by_role("button", name="Stop").click()
    expect(siblings).to_have_count(0)
    assert sorted(each["knobs"]["workers"] for each in lab.get("/engines") if each["exit"] is None) == [2]


def test_what_is_typed_survives_a_refresh_of_the_card(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    page.locator("#knobs-reactor > summary").click()
    page.locator("#knobs-common-reactor > summary").click()
    page.locator("#knob-reactor-idle_s").fill("77")
    lab.start("reactor")
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "ready")
    expect(page.locator("#knob-reactor-idle_s")).to_have_value("77")
    expect(page.locator("#knob-reactor-idle_s")).to_be_visible()


def test_stop_all_stops_all(visit: Opener, lab: LabProcess) -> None:
    for model in ("reactor", "blocking"):
        lab.start(model)
    page = visit().page
    page.locator("#stop-all").click()
    for model in ("reactor", "blocking"):
        expect(page.locator(f"#card-{model}")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#stop-all")).to_have_count(0)


def test_what_happens_during_a_refresh_is_not_lost_with_it(visit: Opener, lab: LabProcess) -> None:
    started = [lab.start("reactor")["id"]]
    page = visit().page
    expect(page.locator("#stop-all")).to_have_count(1)
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live")
    page.wait_for_load_state("networkidle")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        """Answered with what was true when it was asked for; sent on when the test says so."""
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(f"{lab.url}/", hold_the_first)
    with page.expect_request(f"{lab.url}/"):
        started.append(lab.start("blocking")["id"])
    stale = httpx.get(f"{lab.url}/", headers={"hx-request": "true"}).text
    for each in started:
        lab.http.delete(f"/api/v1/engines/{each}")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "stopped")
    held[0].fulfill(body=stale, content_type="text/html")
    expect(page.locator("#stop-all")).to_have_count(0)


def test_a_page_recovers_when_the_lab_comes_back(browser: Browser, make_lab: LabMaker) -> None:
    lab = make_lab()
    opener = Opener(browser, lab)
    tab = opener()
    page = tab.page
    start(page, "reactor")
    lab.close()
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "offline")
    expect(page.locator("[data-live-text]")).to_contain_text("Lost the lab")
    again = make_lab(data_dir=lab.data_dir, port=lab.port)
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "live", timeout=15_000)
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "stopped")
    start(page, "reactor")
    assert [engine["state"] for engine in again.get("/engines")] == ["ready"]
    tab.forgive("ERR_CONNECTION_REFUSED")
    opener.close()


def test_a_model_is_started_by_keyboard_alone(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(60):
        if page.evaluate("document.activeElement.id") == "act-blocking":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "act-blocking"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus is not to be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "ready")
    assert page.evaluate("document.activeElement.id") == "act-blocking", "the focus is lost with the swap"
    page.keyboard.press("Enter")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "stopped")


def test_forms_of_other_pages_do_it(visit: Opener, lab: LabProcess) -> None:
    page = visit("/models/main-sub").page
    page.locator("#act-now").click()
    page.get_by_role("link", name="Open in the lab").click()
    expect(page.locator("#card-main-sub")).to_have_attribute("data-state", "ready")
    expect(page.locator("#watch-main-sub")).to_have_text("Watching")
    run = lab.submit(model="reactor", plan=plan(60, 0))
    lab.reaches(run["id"], "running")
    page.goto(f"/runs/{run['id']}")
    expect(page.locator('[data-run-live="achieved_per_s"]').first).to_have_text(NUMBER)
    page.locator("#stop-run").click()
    lab.ended(run["id"])
    expect(page.locator("#verdict")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/runs")
    assert lab.http.get(f"/api/v1/runs/{run['id']}").status_code == 404


def test_a_page_that_was_late_for_an_event_catches_up(visit: Opener, lab: LabProcess) -> None:
    """What changes between a page's rendering and the opening of its socket is not lost."""
    run = lab.submit(model="reactor", plan=plan(60, 0))
    lab.reaches(run["id"], "running")
    tab = visit("/about")
    tab.page.route(
        "**/static/js/run.js",
        lambda route: (lab.post(f"/runs/{run['id']}/stop"), lab.ended(run["id"]), route.continue_()),
    )
    tab.page.goto(f"/runs/{run['id']}")
    expect(tab.page.locator("#run-main")).to_have_attribute("data-run-state", "stopped")


def test_without_javascript_forms_do_it(visit: Opener, lab: LabProcess) -> None:
    tab = visit(js=False)
    page = tab.page
    page.locator("#act-reactor").click()
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "ready")
    page.locator("#scenario-by-hand").check()
    for name, value in (("vus", "4"), ("duration_s", "0.5"), ("warmup_s", "0")):
        page.locator(f"#f-{name}").fill(value)
    page.locator("#run-button").click()
    page.wait_for_url("**/runs/*")
    until(lambda: lab.get("/runs")[0]["state"] in ENDED, "the run ends")
    page.reload()
    expect(page.locator("#verdict")).to_be_visible()
    page.goto("/")
    page.locator("#act-reactor").click()
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "stopped")
    page.locator("#knobs-reactor > summary").click()
    page.locator("#knobs-common-reactor > summary").click()
    page.locator("#knob-reactor-idle_s").fill("0")
    page.locator("#act-reactor").click()
    expect(page.locator("#knob-reactor-idle_s-problem")).to_contain_text("idle_s must be from")
    tab.forgive("422")
