"""The main task in a browser: start a model, run a load, read the verdict; and error cases."""

from __future__ import annotations

import os
import re
import signal

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.app.driver import LabMaker, LabProcess, plan, until
from tests.waiting import reserved_port

from .conftest import Opener, PagePool
from .pages import HELD, NUMBER, OPEN, caught_up, click, drawn, live, open_plan, painted, start

# The bar of the strip has grown while the strip was the same element: by frames, and not by a refresh.
BAR_HAS_GROWN = """() => {
  const strip = document.querySelector("#run-strip");
  const width = Number.parseFloat(strip.querySelector("[data-bar=done]").getAttribute("width"));
  if (window.strip !== strip) Object.assign(window, { strip, width });
  return width > window.width;
}"""

# Those of these places that are hidden or reach below the window.
BELOW = """(places) => places.filter((place) => {
  const element = document.querySelector(place);
  return !element?.checkVisibility() || element.getBoundingClientRect().bottom > innerHeight;
})"""


def custom_load(page: Page, **fields: str) -> None:
    """Fill the load form with an open load, which switches it to `Custom load`."""
    open_plan(page)
    page.locator("#f-executor").select_option(OPEN)
    for name, value in {"vus": "4", "rate_per_s": "40", "warmup_s": "0", **fields}.items():
        page.locator(f"#f-{name}").fill(value)
    expect(page.locator("#f-scenario")).to_have_value("")


def newest(lab: LabProcess) -> int:
    """The number of the newest run."""
    return int(lab.get("/runs")[0]["id"])


def living(lab: LabProcess) -> list[str]:
    return [engine["id"] for engine in lab.get("/engines") if engine["exit"] is None]


def test_a_model_is_started_by_click_and_shows_live_metrics(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    expect(page.locator("[data-card]")).to_have_count(6)
    live(page)
    start(page, "reactor-pool")
    (engine,) = living(lab)
    card = page.locator("#card-reactor-pool")
    expect(card).to_contain_text(engine)
    expect(card.locator('[data-live="thread_count"]')).to_have_text("5")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(5)
    expect(page.locator("#load-target")).to_contain_text(engine)
    run = lab.submit(engine=engine, plan={**HELD, "vus": 8})
    expect(card.locator('[data-live="requests_per_s"]')).to_have_text(re.compile(r"^[1-9][\d,.]*$"))
    expect(card.locator('[data-live="p99_us"]')).to_have_text(re.compile(r"[µm]?s$"))
    expect(card.locator('[data-live="connections_total"]')).to_have_text("8")
    expect(page.locator("[data-conns-panel] [data-live='requests']")).to_have_text(NUMBER)
    lab.post(f"/runs/{run['id']}/stop")
    lab.wait_ended(run["id"])
    click(page.locator("#act-reactor-pool"))
    expect(card).to_have_attribute("data-state", "stopped")
    expect(page.locator("#load-target")).not_to_contain_text(engine)


def test_an_invalid_knob_is_reported_at_its_field_and_nothing_starts(visit: Opener, lab: LabProcess) -> None:
    tab = visit()
    page = tab.page
    caught_up(page)  # a refresh of the card would take the problem away
    click(page.locator("#knobs-reactor-pool > summary"))
    page.locator("#knob-reactor-pool-workers").fill("9999")
    click(page.locator("#act-reactor-pool"))
    problem = page.locator("#knob-reactor-pool-workers-problem")
    expect(problem).to_contain_text("workers must be from")
    field = page.locator("#knob-reactor-pool-workers")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("9999")
    assert living(lab) == []
    field.fill("2")
    click(page.locator("#act-reactor-pool"))
    expect(page.locator("#card-reactor-pool")).to_have_attribute("data-state", "ready")
    expect(page.locator("#knob-reactor-pool-workers-problem")).to_have_count(0)
    assert lab.get("/engines")[-1]["knobs"]["workers"] == 2
    tab.forgive("422")


def test_a_load_test_from_the_form_is_followed_in_the_strip_and_stopped_there(
    visit: Opener, lab: LabProcess
) -> None:
    tab = visit()
    page = tab.page
    start(page, "reactor")
    custom_load(page, duration_s="120", warmup_s="0.5")
    click(page.locator("#run-button"))
    strip = page.locator("#run-strip")
    expect(strip).to_have_attribute("aria-label", "Run in progress")
    expect(strip.locator("[data-progress]")).to_be_visible()
    expect(strip.locator('[data-run-live="achieved_per_s"]')).to_have_text(NUMBER)
    expect(page.locator("#run-button")).to_have_text("Add to queue")
    expect(strip).to_have_attribute("data-run-state", "running")
    page.wait_for_function(BAR_HAS_GROWN)
    expect(strip.locator('[data-run-live="elapsed"]')).to_have_text(re.compile(r"^[1-9]\d* of 12[01] s$"))
    click(page.locator("button#stop-run"))
    expect(strip).to_have_attribute("data-run-state", "stopped")
    expect(strip).to_contain_text("stopped")
    expect(page.locator("#run-button")).to_have_text("Run")
    tab.goto(f"/runs/{newest(lab)}")
    expect(page.locator("main")).to_contain_text("Stopped early")


def test_a_load_test_from_the_form_to_its_verdict(visit: Opener, lab: LabProcess) -> None:
    before = newest(lab)
    tab = visit()
    page = tab.page
    start(page, "reactor")
    custom_load(page, duration_s="1", rate_per_s="200")
    click(page.locator("#load-more > summary"))
    page.locator("#f-thresholds").fill("p(99) < 20s\nerrors < 1%")  # with spaces, and each line is one
    click(page.locator("#run-button"))
    strip = page.locator(f'#run-strip:not([data-run="{before}"])')
    expect(strip).to_have_attribute("data-run-state", "finished")
    run = lab.get("/runs")[0]
    assert [each["text"] for each in run["thresholds"]] == ["p(99) < 20s", "errors < 1%"]
    # On a busy machine the target rate may not be reached.
    outcome = run["verdict"]["title"] if run["verdict"]["rankable"] else "Not ranked"
    expect(strip).to_contain_text(outcome)
    click(strip.locator("h2 a"))
    page.wait_for_url(f"**/runs/{run['id']}")
    expect(page.locator("#verdict")).to_have_text(run["verdict"]["title"])
    expect(page.locator(".verdict")).to_contain_text(run["verdict"]["because"][0])
    drawn(page.locator('[data-chart="percentiles"]'))
    tab.goto("/runs")
    expect(page.locator("table.runs tbody tr").first).to_contain_text("reactor", ignore_case=True)
    expect(page.locator("table.runs tbody tr").first).to_contain_text(
        run["verdict"]["title"], ignore_case=True
    )


def test_the_last_runs_are_updated_live(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    page.evaluate("window.stayed = true")
    run = lab.submit(model="reactor", plan=HELD)["id"]
    last = page.locator("#last-runs-panel tbody tr").first
    expect(last.get_by_role("link")).to_have_attribute("href", f"/runs/{run}")
    expect(last).to_contain_text("running")
    lab.post(f"/runs/{run}/stop")
    title = lab.wait_ended(run)["verdict"]["title"]
    expect(last).to_contain_text(title, ignore_case=True)
    expect(last).not_to_contain_text("running")
    assert page.evaluate("window.stayed")


def test_an_invalid_plan_is_reported_at_its_field_and_nothing_is_queued(
    visit: Opener, lab: LabProcess
) -> None:
    tab = visit()
    page = tab.page
    before = lab.get("/runs")
    custom_load(page, vus="9999999", work="1% nonsense")
    click(page.locator("#run-button"))
    expect(page.locator("#f-work-problem")).to_contain_text("nonsense")
    page.locator("#f-work").fill("100% plaintext")
    click(page.locator("#run-button"))
    expect(page.locator("#f-vus-problem")).to_contain_text("whole number from 1 to")
    expect(page.locator("#f-vus")).to_have_value("9999999")
    assert lab.get("/runs") == before
    tab.forgive("422")


def test_the_page_of_a_stopped_run_becomes_its_result(visit: Opener, lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=HELD)["id"]
    page = visit(f"/runs/{run}").page
    page.evaluate("window.stayed = true")
    expect(page.locator('[data-run-live="achieved_per_s"]').first).to_have_text(NUMBER)
    lab.post(f"/runs/{run}/stop")
    expect(page.locator("#verdict")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Stopped early")
    assert page.evaluate("window.stayed")


def test_the_page_of_a_queued_run_becomes_its_result(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    before = lab.submit(engine=engine, plan=HELD)["id"]
    run = lab.submit(engine=engine, plan=plan(1.0, 0, vus=4, executor=OPEN, rate_per_s=100))["id"]
    page = visit(f"/runs/{run}").page
    main = page.locator("#run-main")
    expect(main).to_have_attribute("data-run-state", "queued")
    expect(main).to_contain_text("Starts when the previous run ends.")
    page.evaluate("window.stayed = true")
    lab.post(f"/runs/{before}/stop")
    expect(main).to_have_attribute("data-run-state", "finished")
    expect(page.locator("#verdict")).to_have_text(lab.get(f"/runs/{run}")["verdict"]["title"])
    drawn(page.locator('[data-chart="percentiles"]'))
    assert page.evaluate("window.stayed")


@pytest.mark.full
def test_the_card_of_a_killed_engine_names_the_signal(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "main-sub")
    pid = next(engine["pid"] for engine in lab.get("/engines") if engine["exit"] is None)
    os.kill(pid, signal.SIGKILL)
    card = page.locator("#card-main-sub")
    expect(card).to_have_attribute("data-state", "exited")
    expect(card).to_contain_text("SIGKILL")
    expect(page.locator("#act-main-sub")).to_contain_text("Start again")
    start(page, "main-sub")
    expect(card).not_to_contain_text("SIGKILL")


def test_two_engines_of_one_model_are_on_its_card(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    start(page, "reactor-pool")
    click(page.locator("#knobs-reactor-pool > summary"))
    page.locator("#knob-reactor-pool-workers").fill("2")
    click(page.locator("#another-reactor-pool"))
    siblings = page.locator("#card-reactor-pool .siblings li")
    expect(siblings).to_have_count(1)
    click(siblings.get_by_role("button", name="Stop"))
    expect(siblings).to_have_count(0)
    assert sorted(each["knobs"]["workers"] for each in lab.get("/engines") if each["exit"] is None) == [2]


def test_typed_knobs_survive_a_refresh_of_the_card(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    click(page.locator("#knobs-reactor > summary"))
    click(page.locator("#knobs-common-reactor > summary"))
    page.locator("#knob-reactor-idle_s").fill("77")
    lab.start("reactor")
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "ready")
    expect(page.locator("#knob-reactor-idle_s")).to_have_value("77")
    expect(page.locator("#knob-reactor-idle_s")).to_be_visible()


def test_stop_all_stops_every_engine(visit: Opener, lab: LabProcess) -> None:
    for model in ("reactor", "blocking"):
        lab.start(model)
    page = visit().page
    click(page.locator("#stop-all"))
    for model in ("reactor", "blocking"):
        expect(page.locator(f"#card-{model}")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#stop-all")).to_have_count(0)


def test_an_event_during_a_refresh_is_not_lost(visit: Opener, lab: LabProcess) -> None:
    started = [lab.start("reactor")["id"]]
    page = visit().page
    expect(page.locator("#stop-all")).to_have_count(1)
    live(page)
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        """Hold one refresh of the section head; the test fulfils it later with an outdated response."""
        if held or "load-target" not in route.request.headers.get("hx-source", ""):
            route.continue_()
        else:
            held.append(route)

    page.route(f"{lab.url}/workbench", hold_the_first)
    started.append(lab.start("blocking")["id"])
    until(lambda: page.evaluate("true") and held, "a refresh is on its way")
    stale = httpx.get(f"{lab.url}/workbench", headers={"hx-request": "true"}).text
    for each in started:
        lab.http.delete(f"/api/v1/engines/{each}")
    expect(page.locator("#card-blocking")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#stop-all")).to_have_count(1)
    held[0].fulfill(body=stale, content_type="text/html")
    expect(page.locator("#stop-all")).to_have_count(0)


@pytest.mark.full
def test_a_page_reconnects_and_its_lanes_show_the_gap(page_pool: PagePool, make_lab: LabMaker) -> None:
    with reserved_port() as port:  # no other process may take it while the lab is away
        lab = make_lab(port=port)
        opener = Opener(page_pool, lab)
        tab = opener()
        page = tab.page
        start(page, "reactor")
        (engine,) = living(lab)
        painted(page)
        lab.close()
        expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "offline")
        expect(page.locator("[data-live-text]")).to_contain_text("Disconnected")
        again = make_lab(data_dir=lab.data_dir, port=port)
        live(page)
        expect(page.locator("#card-reactor")).to_have_attribute("data-state", "stopped")
        start(page, "reactor")
        assert living(again) == [engine], "it has the same name, so its lanes go on"
        expect(page.locator("[data-lane-summary]")).to_contain_text("lost")
        tab.forgive("ERR_CONNECTION_REFUSED")
        opener.close()


@pytest.mark.full
def test_forms_of_other_pages_work(visit: Opener, lab: LabProcess) -> None:
    tab = visit("/models/main-sub")
    page = tab.page
    click(page.locator("#act-now"))
    click(page.get_by_role("link", name="Open in the workbench"))
    expect(page.locator("#card-main-sub")).to_have_attribute("data-state", "ready")
    expect(page.locator("#target-main-sub")).to_have_attribute("aria-pressed", "true")
    run = lab.submit(model="reactor", plan=HELD)
    lab.wait_state(run["id"], "running")
    tab.goto(f"/runs/{run['id']}")
    expect(page.locator('[data-run-live="achieved_per_s"]').first).to_have_text(NUMBER)
    click(page.locator("#stop-run"))
    lab.wait_ended(run["id"])
    expect(page.locator("#verdict")).to_be_visible()
    click(page.get_by_role("link", name="Delete"))
    click(page.get_by_role("button", name="Delete"))
    page.wait_for_url("**/runs")
    assert lab.http.get(f"/api/v1/runs/{run['id']}").status_code == 404


def test_a_page_catches_up_on_events_before_its_socket_opened(visit: Opener, lab: LabProcess) -> None:
    """What changes between a page's rendering and the opening of its socket is not lost."""
    run = lab.submit(model="reactor", plan=HELD)
    lab.wait_state(run["id"], "running")
    tab = visit("/about")
    tab.page.route(
        "**/static/*/js/pages/run.js",
        lambda route: (lab.post(f"/runs/{run['id']}/stop"), lab.wait_ended(run["id"]), route.continue_()),
    )
    tab.goto(f"/runs/{run['id']}")
    expect(tab.page.locator("#run-main")).to_have_attribute("data-run-state", "stopped")


@pytest.mark.full
def test_forms_work_without_javascript(visit: Opener, lab: LabProcess) -> None:
    tab = visit(js=False)
    page = tab.page
    page.locator("#act-reactor").click()
    expect(page.locator("#card-reactor")).to_have_attribute("data-state", "ready")
    page.locator("#f-scenario").select_option("")
    page.locator("#load-plan > summary").click()
    page.locator("#f-executor").select_option(OPEN)
    for name, value in (("vus", "4"), ("rate_per_s", "100"), ("duration_s", "0.5"), ("warmup_s", "0")):
        page.locator(f"#f-{name}").fill(value)
    page.locator("#run-button").click()
    page.wait_for_url("**/runs/*")
    lab.wait_ended(newest(lab))
    page.reload()
    expect(page.locator("#verdict")).to_be_visible()
    tab.goto("/workbench")
    page.locator("#act-reactor").click()
    stopped = page.locator("#card-reactor[data-state=stopped]")
    until(lambda: page.reload() and stopped.count(), "it is stopped")
    page.locator("#knobs-reactor > summary").click()
    page.locator("#knobs-common-reactor > summary").click()
    page.locator("#knob-reactor-idle_s").fill("0")
    page.locator("#act-reactor").click()
    expect(page.locator("#knob-reactor-idle_s-problem")).to_contain_text("idle_s must be from")
    tab.forgive("422")


def test_target_scenario_run_and_progress_are_on_the_first_screen(visit: Opener, lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=HELD)
    page = visit("/workbench", 1280).page
    page.set_viewport_size({"width": 1280, "height": 720})
    live(page)
    expect(page.locator("#run-strip [data-progress]")).to_be_visible()
    places = [".cards", "#f-engine", "#f-scenario", "#run-button", "#run-strip", "#threads-title"]
    # A refresh replaces the form at any time: all places are read in one step.
    until(lambda: page.evaluate(BELOW, places) == [], "all of them are on the first screen")
    expect(page.locator("[data-lanes]")).to_be_in_viewport()
    lab.post(f"/runs/{run['id']}/stop")


def test_a_card_is_the_target_of_run_and_of_the_live_view(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    live(page)
    targets, shown = page.locator("#f-engine"), page.locator("[data-watched-id]")
    start(page, "reactor")
    reactor = targets.input_value()
    start(page, "blocking")  # the card that was started last
    blocking = targets.input_value()
    expect(shown).to_have_text(blocking)
    page.locator("#card-reactor .pill").click()  # anywhere on a card
    expect(targets).to_have_value(reactor)
    expect(shown).to_have_text(reactor)
    expect(page.locator("#target-reactor")).to_have_attribute("aria-pressed", "true")
    click(page.locator("#target-main-sub"))  # one that does not run
    expect(targets).to_have_value("model:main-sub")
    expect(page.locator("[data-unwatched]").first).to_be_visible()
    click(page.locator("[data-start-target]"))
    expect(targets).to_have_value(re.compile(r"^main-sub-\d+$"))
    expect(shown).to_have_text(targets.input_value())
    targets.select_option(blocking)
    expect(shown).to_have_text(blocking)
    expect(page.locator("[data-card][data-targeted]")).to_have_attribute("data-card", "blocking")


def test_an_engine_that_has_ended_leaves_its_model_as_the_target(visit: Opener, lab: LabProcess) -> None:
    page = visit().page
    live(page)
    start(page, "reactor-pool")
    click(page.locator("#act-reactor-pool"))
    expect(page.locator("#card-reactor-pool")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#f-engine")).to_have_value("model:reactor-pool")
    expect(page.locator("#card-reactor-pool")).to_have_attribute("data-targeted", "")
