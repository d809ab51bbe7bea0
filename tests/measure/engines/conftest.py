"""The fixtures of tests/engines."""

from tests.engines.conftest import engine, start, variant

__all__ = ["engine", "start", "variant"]
