"""The live view: lanes, connection grid, charts and costs of engines that really run."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.driver import LabMaker, LabProcess, plan

from .conftest import Opener

ROLES = {
    "reactor": ["reactor"],
    "reactor-pool": ["reactor", "worker 1", "worker 2", "worker 3", "worker 4"],
    "main-sub": ["main reactor", "sub-reactor 1", "sub-reactor 2", *(f"worker {n}" for n in range(1, 5))],
}
PAINTED = """(canvas) => canvas && canvas.width > 0 && new Uint32Array(
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer).some((pixel) => pixel)"""
HUNDRED = plan(60.0, 0, vus=100, executor="constant-arrival-rate", rate_per_s=200)


def painted(page: Page) -> None:
    page.wait_for_function(f"() => ({PAINTED})(document.querySelector('[data-lanes-base]'))")


def names(page: Page) -> Locator:
    return page.locator("[data-thread-rows] th")


@pytest.mark.parametrize("model", ROLES)
def test_each_thread_has_a_lane_named_by_its_role(visit: Opener, lab: LabProcess, model: str) -> None:
    engine = lab.start(model)["id"]
    page = visit(f"/?watch={engine}").page
    expect(names(page)).to_have_text(ROLES[model])
    painted(page)
    expect(page.locator("[data-pixel]")).to_contain_text(re.compile(r"A pixel is [\d.]+ ms"))
    expect(page.locator("[data-sampled]")).to_be_empty()
    expect(page.locator("[data-lane-summary]")).to_contain_text(f"{len(ROLES[model])} thread")


def test_zooming_into_the_past_lets_go_and_follow_returns(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")["id"]
    page = visit(f"/?watch={engine}").page
    painted(page)
    follow, canvas = page.locator("[data-follow]"), page.locator("[data-lanes]")
    expect(follow).to_have_text("Pause")
    canvas.hover(position={"x": 60, "y": 60})
    page.keyboard.down("Control")  # without it a page that has just been scrolled goes on scrolling
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    expect(follow).to_have_text("Follow")
    expect(page.locator("[data-behind]")).to_contain_text("behind")
    for _ in range(20):
        page.locator("[data-zoom=in]").click()
    expect(page.locator("[data-pixel]")).to_contain_text(re.compile(r"A pixel is [\d.]+ µs"))
    follow.click()
    expect(follow).to_have_text("Pause")
    expect(page.locator("[data-behind]")).to_be_empty()


def test_lanes_are_read_by_keys_alone(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")["id"]
    page = visit(f"/?watch={engine}").page
    painted(page)
    canvas, tip, follow = page.locator("[data-lanes]"), page.locator("[data-lane-tip]"), page.locator("[data-follow]")
    canvas.focus()
    page.keyboard.press("ArrowDown")
    expect(tip).to_contain_text("worker 1")
    expect(tip).to_contain_text("connections")
    page.keyboard.press("ArrowUp")
    expect(tip).to_contain_text("reactor")
    page.keyboard.press("Home")
    expect(follow).to_have_text("Follow")
    page.keyboard.press("End")
    expect(follow).to_have_text("Pause")
    expect(tip).to_be_hidden()


def test_many_threads_fold_by_role_and_unfold(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("blocking")["id"]
    page = visit(f"/?watch={engine}").page
    run = lab.submit(engine=engine, plan=HUNDRED)["id"]
    fold = page.locator("[data-thread-rows] button[data-fold=connection]")
    expect(fold).to_contain_text("×100")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2)  # the acceptor and the band
    expect(page.locator("[data-grid]")).to_have_attribute("data-dots", "100")
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2 + 24 + 1)
    page.get_by_role("button", name="Further connection threads").click()
    expect(page.locator(".further th")).to_contain_text("25–48")
    fold.click()
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2)
    lab.http.post(f"/api/v1/runs/{run}/stop")


def test_the_grid_has_a_dot_for_each_connection_and_tells_whose_it_is(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("main-sub")["id"]
    page = visit(f"/?watch={engine}").page
    run = lab.submit(engine=engine, plan=plan(60.0, 0, vus=10, executor="constant-arrival-rate", rate_per_s=50))["id"]
    expect(page.locator("[data-grid]")).to_have_attribute("data-dots", "10")
    expect(page.locator("[data-conns-panel] [data-live=connections_total]")).to_have_text("10")
    page.locator("[data-grid]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-grid-tip]")).to_contain_text(re.compile(r"descriptor \d+ · sub-reactor [12]"))
    page.locator(".crowd .as-table summary").click()
    expect(page.locator(".crowd tbody tr")).to_have_count(2)
    expect(page.locator("[data-ledger] tbody tr")).to_contain_text(re.compile(r"\d µs"))
    lab.http.post(f"/api/v1/runs/{run}/stop")


def test_cursors_of_charts_and_lanes_go_together_and_a_chart_is_also_a_table(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    page = visit(f"/?watch={engine}").page
    expect(page.locator("[data-more-charts]")).not_to_have_attribute("open", "")
    page.locator("[data-more-charts] > summary").press("Enter")
    for name in ("rate", "states", "threads", "cpu", "memory"):
        expect(page.locator(f'[data-chart="{name}"] canvas')).to_be_visible()
    page.locator('[data-chart="rate"] details summary').click()
    expect(page.locator('[data-chart="rate"] tbody tr').nth(4)).to_contain_text("s ago")
    over = page.locator('[data-chart="memory"] .u-over')
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 20)
    for name in ("memory", "threads", "cpu"):
        expect(page.locator(f'[data-chart="{name}"] .tip')).to_contain_text("ago")
    page.reload()
    expect(page.locator("[data-more-charts]")).to_have_attribute("open", "")


def test_an_engine_that_is_killed_is_marked_and_its_last_truth_kept(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", idle_s=120)
    page = visit(f"/?watch={engine['id']}").page
    painted(page)
    load = plan(60.0, 0, vus=2, executor="constant-arrival-rate", rate_per_s=20, idle_connections=20)
    run = lab.submit(engine=engine["id"], plan=load)["id"]
    idle = page.locator("[data-count=idle]")
    expect(idle).to_have_text(re.compile("^2[012]$"))
    os.kill(engine["pid"], signal.SIGKILL)
    expect(page.locator("[data-watched-end]")).to_contain_text("SIGKILL", timeout=5_000)
    expect(page.locator(".threads")).to_have_attribute("data-gone", "", timeout=5_000)
    expect(names(page)).to_have_text(ROLES["reactor-pool"])
    lab.ended(run)
    expect(idle).to_have_text(re.compile("^2[012]$"))
    lab.start("reactor")
    expect(names(page)).to_have_text(ROLES["reactor"])
    expect(page.locator("[data-watched-end]")).to_be_hidden()


def test_a_lab_that_was_away_leaves_a_gap(browser: Browser, make_lab: LabMaker) -> None:
    lab = make_lab()
    opener = Opener(browser, lab)
    engine = lab.start("reactor")["id"]
    tab = opener(f"/?watch={engine}")
    page = tab.page
    painted(page)
    lab.close()
    expect(page.locator("[data-live-badge]")).to_have_attribute("data-state", "offline")
    again = make_lab(data_dir=lab.data_dir, port=lab.port)
    assert again.start("reactor")["id"] == engine
    expect(page.locator("[data-lane-summary]")).to_contain_text("lost")
    tab.forgive("ERR_CONNECTION_REFUSED")
    opener.close()


def test_two_engines_stand_side_by_side(visit: Opener, lab: LabProcess) -> None:
    one, two = lab.start("reactor")["id"], lab.start("reactor-pool")["id"]
    page = visit(f"/live?engine={one}&engine={two}").page
    blocks = page.locator("[data-engine-lanes] > .threads")
    expect(blocks).to_have_count(2)
    expect(blocks.nth(1).locator("tbody th")).to_have_text(ROLES["reactor-pool"])
    for name in ("rate", "states"):
        expect(page.locator(f'[data-chart="{name}"] .key li')).to_have_text([one, two])
    page.get_by_role("checkbox", name=one).uncheck()
    expect(blocks).to_have_count(1)
    expect(page).to_have_url(re.compile(rf"\?engine={two}$"))
    page.get_by_role("checkbox", name=one).check()
    expect(blocks).to_have_count(2)


def test_those_that_have_ended_make_room_before_one_that_lives(visit: Opener, lab: LabProcess) -> None:
    lives = lab.start("reactor")["id"]
    page = visit("/live").page
    blocks = page.locator("[data-engine-lanes] > .threads")
    for n in range(2, 6):
        ended = lab.start("blocking")["id"]
        expect(blocks).to_have_count(n)
        lab.http.delete(f"/api/v1/engines/{ended}")
        expect(page.locator("[data-engine-lanes] > [data-gone]")).to_have_count(n - 1)
    last = lab.start("reactor-pool")["id"]
    expect(page.get_by_role("checkbox", name=last)).to_be_checked()
    expect(page.get_by_role("checkbox", name=lives)).to_be_checked()
    expect(blocks).to_have_count(5)


def test_an_engine_that_takes_over_is_seen_beside_the_one_before(visit: Opener, lab: LabProcess) -> None:
    load = plan(6.0, 0, vus=8, executor="constant-arrival-rate", rate_per_s=200)
    run = lab.submit(model="reactor", then=[{"model": "reactor-pool"}], plan=load)
    page = visit("/live").page
    blocks = page.locator("[data-engine-lanes] > .threads")
    expect(blocks).to_have_count(2, timeout=20_000)
    expect(page.locator("[data-engine-lanes] > [data-gone]")).to_have_count(1, timeout=20_000)
    rate = page.locator('[data-chart="rate"]')
    rate.locator("summary").click()
    expect(rate.locator("thead th")).to_have_count(3)  # when, and a column for each: the first one's past is kept
    cells = rate.locator("tbody td:nth-child(2)")
    expect(cells.filter(has_text=re.compile(r"^\d")).first).to_be_visible(timeout=10_000)
    lab.ended(run["id"], 30)
