"""The comment on a run: written on its page, with and without JavaScript, and shown in lists."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.app.driver import LabProcess

from .conftest import Opener
from .pages import caught_up, click

TEXT = "Second attempt\nwith the fan off"


def test_a_comment_is_written_in_place_and_starts_in_the_list(visit: Opener, lab: LabProcess) -> None:
    tab = visit("/runs/2")
    page = tab.page
    caught_up(page)
    page.evaluate("window.stayed = true")
    page.get_by_text("Add a comment").click()
    page.get_by_label("Comment on run 2").fill(TEXT)
    click(page.locator("#comment-2 button"))
    expect(page.locator(".comment-text")).to_have_text(TEXT)
    assert page.evaluate("window.stayed")
    assert lab.get("/runs/2")["comment"] == TEXT
    tab.goto("/runs")
    start = page.locator("tr", has=page.locator("#pick-2")).locator(".comment-start")
    expect(start).to_contain_text("Second attempt with the fan off")
    lab.http.patch("/api/v1/runs/2", json={"comment": None})


def test_a_comment_is_written_without_javascript(visit: Opener, lab: LabProcess) -> None:
    page = visit("/runs/2", js=False).page
    page.get_by_text("Add a comment").click()
    page.get_by_label("Comment on run 2").fill(TEXT)
    page.locator("#comment-2 button").click()
    expect(page.locator(".comment-text")).to_have_text(TEXT)
    page.get_by_text("Edit comment").click()
    expect(page.get_by_label("Comment on run 2")).to_have_value(TEXT)
    page.get_by_label("Comment on run 2").fill("")
    page.locator("#comment-2 button").click()
    expect(page.get_by_text("Add a comment")).to_be_visible()
    assert lab.get("/runs/2")["comment"] is None
