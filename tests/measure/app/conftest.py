"""The fixtures of tests/app."""

from tests.app.conftest import lab, make_lab, shared_lab

__all__ = ["lab", "make_lab", "shared_lab"]
