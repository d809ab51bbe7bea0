"""A model that cannot run here: its card says why, and offers nothing that would fail."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.app.fleet.test_unavailable import REASON, python, shared_lab

from .conftest import Opener
from .pages import click

__all__ = ["python", "shared_lab"]  # this lab instead of the one in conftest: its engines get no io_uring


@pytest.mark.full
def test_card_and_page_give_the_reason_and_start_is_disabled(visit: Opener) -> None:
    tab = visit("/workbench")
    page = tab.page
    card = page.locator("[data-card=proactor]")
    expect(card).to_have_attribute("data-state", "unavailable")
    expect(card).to_contain_text(REASON)
    expect(page.locator("#act-proactor")).to_be_disabled()
    click(page.locator("#act-reactor"))
    expect(page.locator("[data-card=reactor]")).to_have_attribute("data-state", "ready")
    tab.goto("/models/proactor")
    expect(page.locator("main")).to_contain_text(REASON)
