"""Test servers and running generators that end with their test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Running, ServerMaker, Starter
from .server import Handler, Server, plain


@pytest.fixture
def serve() -> Iterator[ServerMaker]:
    """Start test servers; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(handler: Handler = plain, delay_s: float = 0.0, port: int = 0) -> Server:
            return stack.enter_context(contextlib.closing(Server(handler, delay_s, port)))

        yield start


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start generators that the test watches or ends; none outlives it."""
    with contextlib.ExitStack() as stack:

        def begin(port: int, **plan: Any) -> Running:
            return stack.enter_context(contextlib.closing(Running(port, plan)))

        yield begin
