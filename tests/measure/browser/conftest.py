"""The fixtures of tests/browser."""

from tests.browser.conftest import browser, lab, make_lab, page_pool, shared_lab, visit

__all__ = ["browser", "lab", "make_lab", "page_pool", "shared_lab", "visit"]
