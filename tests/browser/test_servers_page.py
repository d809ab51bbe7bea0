"""External servers on the workbench and on their own page: start, lanes of kernel states, load, stop."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.app.driver import LabProcess, until

from .conftest import Opener
from .pages import live


def test_a_server_is_started_watched_loaded_and_stopped_on_its_tab(visit: Opener, lab: LabProcess) -> None:
    page = visit("/workbench", 1600).page
    page.get_by_role("navigation", name="Workbench").get_by_role("link", name="Servers").click()
    live(page)
    page.locator("#act-uvicorn").click()
    card = page.locator("#card-uvicorn")
    expect(card).to_have_attribute("data-state", "ready")
    expect(page.locator("[data-thread-rows] th").first).to_have_text("process")
    expect(page.locator("[data-threads-panel] .kernel-legend")).to_be_visible()
    expect(page.locator("[data-threads-panel] .model-legend")).to_be_hidden()
    expect(page.locator(".outside-note")).to_be_visible()
    page.locator("#load-form").get_by_role("button", name=re.compile("^Run")).click()
    until(lambda: [run for run in lab.get("/runs") if run["server"] == "uvicorn"], "the run is queued")
    expect(card.locator("[data-live=requests_per_s]")).to_have_text(re.compile(r"\d"))
    page.locator("#act-uvicorn").click()
    expect(card).to_have_attribute("data-state", re.compile("stopped|draining"))
    expect(card).to_have_attribute("data-state", "stopped")


def test_the_page_of_a_server_has_command_threads_processes_and_application(visit: Opener) -> None:
    page = visit("/servers/gunicorn").page
    expect(page.locator(".command")).to_contain_text("--bind {address} --workers 2")
    expect(page.locator("#processes")).to_contain_text("No engine of this server is running.")
    expect(page.locator(".source .code")).to_contain_text("def application(environ")
    page.locator("#act-now").click()
    processes = page.locator("#processes tbody tr")
    expect(processes.locator("th")).to_have_text(["master", "worker 1", "worker 2"])
    expect(page.locator("[data-thread-rows] tr")).to_have_count(3)
    expect(page.locator("[data-thread-rows] th")).to_have_text(["master", "worker 1", "worker 2"])
    page.locator("#act-now").click()
    expect(page.locator("#processes")).to_contain_text("No engine of this server is running.")


def test_a_server_works_without_scripts(visit: Opener, lab: LabProcess) -> None:
    answer = lab.http.post("/engines", data={"model": "uvicorn", "knob_workers": "2"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/servers")
    (engine,) = (each for each in lab.get("/engines") if each["exit"] is None)
    assert (engine["server"], engine["knobs"]["workers"]) == ("uvicorn", 2)
    refused = lab.http.post("/engines", data={"model": "uvicorn", "knob_workers": "2000"})
    assert refused.status_code == 422 and "must be from 1 to 64" in refused.text
    stopped = lab.http.post(f"/engines/{engine['id']}/stop", data={"force": "1"})
    assert stopped.headers["location"] == "/servers"
