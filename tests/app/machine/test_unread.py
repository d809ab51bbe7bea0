"""Connections with unread bytes, by sock_diag: real sockets that no process reads."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from app.machine import sock_diag
from app.machine.unread import count_unread
from tests.waiting import until


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_with_bytes_that_nobody_has_read_are_counted(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
        except OSError:
            pytest.skip(f"no {host} here")
        port = listener.getsockname()[1]
        clients = [stack.enter_context(socket.create_connection((host, port))) for _ in range(3)]
        assert count_unread(host, port) == 0
        clients[0].send(b"GET")
        clients[1].send(b"GET")
        until(lambda: count_unread(host, port) == 2, "two have sent something")
        accepted = stack.enter_context(listener.accept()[0])
        accepted.recv(3)
        until(lambda: count_unread(host, port) == 1, "one has been read")


def test_a_kernel_that_refuses_makes_the_count_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "SOCK_DIAG_BY_FAMILY", 4095)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert count_unread("127.0.0.1", listener.getsockname()[1]) is None
