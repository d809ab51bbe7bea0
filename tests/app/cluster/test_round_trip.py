"""The round trip of the network, as the kernel measures it."""

from __future__ import annotations

import socket

from app.cluster.round_trip import CONNECTS, round_trips_us
from tests.app.driver import run_in_thread
from tests.waiting import reserved_port


def test_each_connect_has_a_round_trip() -> None:
    """The server accepts none of them: the kernel completes the handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = run_in_thread(lambda: round_trips_us("127.0.0.1", listener.getsockname()[1]))
    assert len(found) == CONNECTS
    assert all(us > 0 for us in found)


def test_a_server_that_refuses_connections_has_none() -> None:
    with reserved_port() as port:
        assert run_in_thread(lambda: round_trips_us("127.0.0.1", port)) == []
