"""The request that checks whether an engine answers leaves no connection open."""

from __future__ import annotations

import asyncio
import socket

import pytest

from app.fleet import readiness
from tests.waiting import BOUND_S


def test_a_health_check_without_an_answer_closes_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "RESPONSE_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError):
            asyncio.run(readiness.check_health(*listener.getsockname()))
        peer, _ = listener.accept()
    with peer:
        peer.settimeout(BOUND_S)
        while peer.recv(4096):
            pass  # until the connection is closed
