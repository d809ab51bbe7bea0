"""Tunings on their page: from the form to the end, live and without JavaScript."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import HELD, click, live

FIELDS = {"values": "1,2", "objective": "max<600s", "work": "sleep 1ms", "rounds": "1"}


def test_a_tuning_from_the_form_changes_by_events(visit: Opener, lab: LabProcess) -> None:
    before = lab.submit(model="reactor", plan=HELD)["id"]  # its first run waits for this one
    page = visit("/tunings").page
    live(page)
    page.locator("#f-model").select_option("gunicorn")
    expect(page.locator("#f-knob")).to_contain_text("worker_class: sync, gthread, gevent")
    page.locator("#f-model").select_option("reactor-pool")
    page.locator("#f-knob").select_option("workers")
    for name, value in FIELDS.items():
        page.locator(f"#f-{name}").fill(value)
    click(page.locator("#tuning-button"))
    expect(page).to_have_url(re.compile(r"/tunings/\d+$"))
    page.evaluate("window.stayed = true")
    main = page.locator("#tuning-main")
    expect(main).to_have_attribute("data-tuning-state", "running")
    expect(main).to_contain_text("0 of 2 runs")
    id = int(page.url.rpartition("/")[2])
    assert lab.post(f"/tunings/{id}/stop").status_code == 200
    lab.post(f"/runs/{before}/stop")
    expect(main).to_have_attribute("data-tuning-state", "stopped")
    expect(main).to_contain_text("Stopped early.")
    assert page.evaluate("window.stayed"), "it has changed by events, without a reload"


def test_a_tuning_can_be_stopped_by_its_button(visit: Opener, lab: LabProcess) -> None:
    body = {
        "model": "reactor-pool",
        "knob": "workers",
        "values": [1, 2],
        "rounds": 9,
        "objective": "max<600s",
    }
    id = lab.post("/tunings", body).json()["id"]
    page = visit(f"/tunings/{id}").page
    click(page.locator("#stop-tuning"))
    expect(page.locator("#tuning-main")).to_have_attribute("data-tuning-state", "stopped")
