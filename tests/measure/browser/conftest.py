"""The fixtures of tests/browser."""

from tests.browser.conftest import browser, lab, make_lab, shared_lab, visit

__all__ = ["browser", "lab", "make_lab", "shared_lab", "visit"]
