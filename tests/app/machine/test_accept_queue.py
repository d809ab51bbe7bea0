"""The depth of accept queues, by sock_diag: real listening sockets that nobody accepts from."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from app import addresses
from app.machine import sock_diag
from app.machine.accept_queue import AcceptQueue, read_accept_queue
from tests.waiting import until

BACKLOG = 7


@contextmanager
def connected(listener: socket.socket, clients: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(clients):
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
        yield


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    try:
        listener = addresses.listen(request.param, 0, BACKLOG)
    except OSError:
        pytest.skip(f"no {request.param} here")
    with listener:
        yield listener


def test_the_depth_is_the_number_of_connections_that_nobody_has_accepted(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    assert read_accept_queue(host, port) == AcceptQueue(0, BACKLOG, 1)
    with connected(listener, 3):
        until(lambda: read_accept_queue(host, port) == AcceptQueue(3, BACKLOG, 1), "three are waiting")
        listener.accept()[0].close()
        until(lambda: read_accept_queue(host, port) == AcceptQueue(2, BACKLOG, 1), "one was accepted")


def test_listeners_that_share_a_port_are_added_up() -> None:
    with addresses.hold("127.0.0.1", 0) as holder:
        host, port = holder.getsockname()
        assert read_accept_queue(host, port) is None, "it does not listen"
        with (
            addresses.listen(host, port, BACKLOG, reuse_port=True) as first,
            addresses.listen(host, port, BACKLOG, reuse_port=True),
            connected(first, 3),
        ):
            until(lambda: read_accept_queue(host, port) == AcceptQueue(3, 2 * BACKLOG, 2), "three in all")


def test_another_address_with_the_same_port_does_not_count() -> None:
    with (
        addresses.listen("127.0.0.1", 0, BACKLOG) as one,
        addresses.listen("127.0.0.2", one.getsockname()[1], BACKLOG) as other,
        connected(other, 2),
    ):
        port = one.getsockname()[1]
        until(lambda: read_accept_queue("127.0.0.2", port) == AcceptQueue(2, BACKLOG, 1), "they wait")
        assert read_accept_queue("127.0.0.1", port) == AcceptQueue(0, BACKLOG, 1)
        assert read_accept_queue("0.0.0.0", port) is None


def test_an_address_with_a_zone_is_unknown() -> None:
    assert read_accept_queue("fe80::1%lo", 80) is None


def test_a_kernel_that_refuses_makes_the_depth_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in gVisor, which has no sock_diag."""

    class Refusing(socket.socket):
        def __init__(self, *_: Any) -> None:
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    with addresses.listen("127.0.0.1", 0) as listener:
        monkeypatch.setattr(socket, "socket", Refusing)
        assert read_accept_queue(*listener.getsockname()) is None


def test_an_error_of_the_kernel_makes_the_depth_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "SOCK_DIAG_BY_FAMILY", 4095)
    with addresses.listen("127.0.0.1", 0) as listener:
        assert read_accept_queue(*listener.getsockname()) is None
