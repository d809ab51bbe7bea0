"""The live view: lanes, connection grid, charts and costs of engines that really run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import HELD, click, painted

ROLES = {
    "reactor": ["reactor"],
    "reactor-pool": ["reactor", "worker 1", "worker 2", "worker 3", "worker 4"],
    "main-sub": ["main reactor", "sub-reactor 1", "sub-reactor 2", *(f"worker {n}" for n in range(1, 5))],
}


def names(page: Page) -> Locator:
    return page.locator("[data-thread-rows] th")


def test_each_thread_has_a_lane_named_by_its_role(visit: Opener, lab: LabProcess) -> None:
    page = visit(motion=True).page
    for model, roles in ROLES.items():
        lab.start(model)
        click(page.locator(f"#target-{model}"))
        expect(names(page)).to_have_text(roles)
        painted(page)
        expect(page.locator("[data-pixel]")).to_contain_text(re.compile(r"1 px = [\d.]+ ms"))
        expect(page.locator("[data-sampled]")).to_be_empty()
        expect(page.locator("[data-lane-summary]")).to_contain_text(f"{len(roles)} thread")


@pytest.mark.full
def test_zooming_into_the_past_pauses_and_follow_returns_to_live(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")["id"]
    page = visit(f"/workbench?target={engine}", motion=True).page
    painted(page)
    follow, canvas = page.locator("[data-follow]"), page.locator("[data-lanes]")
    expect(follow).to_have_text("Pause")
    canvas.hover(position={"x": 60, "y": 60})
    page.keyboard.down("Control")  # without it a page that has just been scrolled continues to scroll
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    expect(follow).to_have_text("Follow")
    expect(page.locator("[data-behind]")).to_contain_text("behind")
    for _ in range(20):
        page.locator("[data-zoom=in]").click()
    expect(page.locator("[data-pixel]")).to_contain_text(re.compile(r"1 px = [\d.]+ µs"))
    follow.click()
    expect(follow).to_have_text("Pause")
    expect(page.locator("[data-behind]")).to_be_empty()


def test_lanes_can_be_read_by_keyboard(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")["id"]
    page = visit(f"/workbench?target={engine}", motion=True).page
    painted(page)
    canvas, tip, follow = (
        page.locator("[data-lanes]"),
        page.locator("[data-lane-tip]"),
        page.locator("[data-follow]"),
    )
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


# Whenever the rows get another height, just before that is painted: is the picture beside them as high?
HEIGHTS = """() => {
  const base = document.querySelector("[data-lanes-base]");
  const rows = document.querySelector("[data-thread-rows]");
  const table = rows.closest("table"), ratio = devicePixelRatio;
  window.heights = [];
  const add = () => window.heights.push([base.height, Math.round(table.offsetHeight * ratio)]);
  new ResizeObserver(add).observe(table);
}"""


def test_rows_and_lanes_change_together(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("blocking")
    page = visit(f"/workbench?target={engine['id']}", motion=True).page
    painted(page)
    for _ in range(2):
        page.locator("[data-zoom=out]").click()  # 60 s: a pixel lasts long, and the picture is painted seldom
    page.evaluate(HEIGHTS)
    with contextlib.ExitStack() as connections:
        for number in range(1, 4):
            connections.enter_context(socket.create_connection(("127.0.0.1", engine["port"])))
            expect(names(page)).to_have_count(1 + number)
    expect(names(page)).to_have_count(1)
    heights = page.evaluate("window.heights")
    assert len({rows for _, rows in heights}) == 4, "with none to three connections"
    assert [picture for picture, _ in heights] == [rows for _, rows in heights]


@pytest.mark.full
def test_many_threads_fold_by_role_and_unfold(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("blocking")["id"]
    page = visit(f"/workbench?target={engine}", motion=True).page
    run = lab.submit(engine=engine, plan={**HELD, "vus": 100})["id"]
    fold = page.locator("[data-thread-rows] button[data-fold=connection]")
    expect(fold).to_contain_text("×100")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2)  # the acceptor and the band
    expect(page.locator("[data-grid]")).to_have_attribute("data-dots", "100")
    click(fold)
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2 + 24 + 1)
    click(page.get_by_role("button", name="Further connection threads"))
    expect(page.locator(".further th")).to_contain_text("25–48")
    click(fold)
    expect(page.locator("[data-thread-rows] tr")).to_have_count(2)
    lab.http.post(f"/api/v1/runs/{run}/stop")


@pytest.mark.full
def test_the_grid_has_a_dot_for_each_connection_and_names_its_owner(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("main-sub")["id"]
    page = visit(f"/workbench?target={engine}", motion=True).page
    run = lab.submit(engine=engine, plan={**HELD, "vus": 10})["id"]
    expect(page.locator("[data-grid]")).to_have_attribute("data-dots", "10")
    expect(page.locator("[data-conns-panel] [data-conns-open]")).to_have_text("10")
    page.locator("[data-grid]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-grid-tip]")).to_contain_text(re.compile(r"descriptor \d+ · sub-reactor [12]"))
    click(page.locator(".connection-panel .as-table summary"))
    expect(page.locator(".connection-panel tbody tr")).to_have_count(2)
    page.set_viewport_size({"width": 1440, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    expect(page.locator("[data-ledger] tbody tr")).to_contain_text(re.compile(r"\d µs"))
    lab.http.post(f"/api/v1/runs/{run}/stop")


@pytest.mark.full
def test_cursors_of_charts_and_lanes_go_together_and_a_chart_is_also_a_table(
    visit: Opener, lab: LabProcess
) -> None:
    engine = lab.start("reactor")["id"]
    page = visit(f"/workbench?target={engine}", motion=True).page
    expect(page.locator("[data-more-charts]")).not_to_have_attribute("open", "")
    page.locator("[data-more-charts] > summary").press("Enter")
    for name in ("rate", "states", "threads", "cpu", "memory"):
        expect(page.locator(f'[data-chart="{name}"] canvas')).to_be_visible()
    click(page.locator('[data-chart="rate"] details summary'))
    expect(page.locator('[data-chart="rate"] tbody tr').nth(4)).to_contain_text("s ago")
    over = page.locator('[data-chart="memory"] .u-over')
    width = over.evaluate("(over) => over.clientWidth")
    over.hover(position={"x": width - 12, "y": 20})
    for name in ("memory", "threads", "cpu"):
        expect(page.locator(f'[data-chart="{name}"] .tip')).to_contain_text("ago")
    page.reload()
    expect(page.locator("[data-more-charts]")).to_have_attribute("open", "")


def test_a_killed_engine_is_marked_and_its_last_values_are_kept(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", idle_s=900)
    page = visit(f"/workbench?target={engine['id']}", motion=True).page
    painted(page)
    run = lab.submit(engine=engine["id"], plan={**HELD, "vus": 2, "idle_connections": 20})["id"]
    idle = page.locator("[data-count=idle]")
    expect(idle).to_have_text(re.compile("^2[012]$"))
    os.kill(engine["pid"], signal.SIGKILL)
    expect(page.locator("[data-watched-end]")).to_contain_text("SIGKILL")
    expect(page.locator(".threads")).to_have_attribute("data-gone", "")
    expect(names(page)).to_have_text(ROLES["reactor-pool"])
    lab.wait_ended(run)
    expect(idle).to_have_text(re.compile("^2[012]$"))
    lab.start("reactor")
    expect(names(page)).to_have_text(ROLES["reactor"])
    expect(page.locator("[data-watched-end]")).to_be_hidden()


def test_requests_that_the_server_has_not_read_are_shown_as_waiting(visit: Opener, lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=900)
    page = visit(f"/workbench?target={engine['id']}").page
    expect(page.locator("[data-unread]")).to_have_text("0")
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", engine["port"]))) for _ in range(3)
        ]
        os.kill(engine["pid"], signal.SIGSTOP)
        try:
            for client in clients:
                client.send(b"GET /plaintext HTTP/1.1\r\nHost: x\r\n\r\n")
            expect(page.locator("[data-unread]")).to_have_text("3")
            expect(page.locator("[data-unread-marks] i")).to_have_count(3)
        finally:
            os.kill(engine["pid"], signal.SIGCONT)
        expect(page.locator("[data-unread]")).to_have_text("0")
        expect(page.locator("[data-unread-marks]")).to_be_hidden()


def test_two_engines_are_shown_side_by_side(visit: Opener, lab: LabProcess) -> None:
    one, two = lab.start("reactor")["id"], lab.start("reactor-pool")["id"]
    page = visit(f"/live?engine={one}&engine={two}", motion=True).page
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


@pytest.mark.full
def test_ended_engines_are_replaced_before_running_ones(visit: Opener, lab: LabProcess) -> None:
    lives = lab.start("reactor")["id"]
    page = visit("/live", motion=True).page
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


def test_both_engines_of_a_hot_swap_are_shown(visit: Opener, lab: LabProcess) -> None:
    first = lab.start("reactor")["id"]
    page = visit("/live", motion=True).page
    blocks, rate = page.locator("[data-engine-lanes] > .threads"), page.locator('[data-chart="rate"]')
    expect(blocks).to_have_count(1)
    lab.start("reactor-pool")
    expect(blocks).to_have_count(2)
    lab.http.delete(f"/api/v1/engines/{first}")
    expect(page.locator("[data-engine-lanes] > [data-gone]")).to_have_count(1)
    expect(blocks).to_have_count(2)
    click(rate.locator("summary"))
    expect(rate.locator("thead th")).to_have_count(3)  # when, and a column for each
