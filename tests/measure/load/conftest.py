"""The fixtures of tests/load."""

from tests.load.conftest import serve, start

__all__ = ["serve", "start"]
