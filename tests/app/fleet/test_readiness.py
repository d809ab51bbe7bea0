"""The request that checks whether an engine answers leaves no connection open."""

from __future__ import annotations

import asyncio
import socket

import pytest

from app.fleet import readiness
from tests.waiting import BOUND_S


def test_a_health_check_without_an_answer_closes_its_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        check = readiness.check_health(host, port, "/", None, timeout_s=0.05)
        with pytest.raises(TimeoutError):
            asyncio.run(check)
        peer, _ = listener.accept()
    with peer:
        peer.settimeout(BOUND_S)
        while peer.recv(4096):
            pass  # until the connection is closed
