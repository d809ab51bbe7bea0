"""A model that cannot run here: its card says why, and offers nothing that would fail."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.app.test_unavailable import REASON, python, shared_lab

from .conftest import Opener

__all__ = ["python", "shared_lab"]  # this lab instead of the one in conftest: its engines get no io_uring


def test_the_card_says_why_and_cannot_be_started(visit: Opener) -> None:
    page = visit("/").page
    card = page.locator("[data-card=proactor]")
    expect(card).to_have_attribute("data-state", "unavailable")
    expect(card).to_contain_text(REASON)
    expect(page.locator("#act-proactor")).to_be_disabled()
    page.locator("#act-reactor").click()
    expect(page.locator("[data-card=reactor]")).to_have_attribute("data-state", "ready")


def test_its_page_says_why(visit: Opener) -> None:
    expect(visit("/models/proactor").page.locator("main")).to_contain_text(REASON)
