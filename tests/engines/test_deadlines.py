"""A deadline costs one check when it is due, whatever the number of connections and ticks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from engines.common.connection import Connection
from engines.common.deadlines import Deadlines
from engines.common.http.request_parser import RequestParser

CONNECTIONS = 1000
KNOBS = SimpleNamespace(idle_s=15, header_s=10, body_s=30, write_s=10)


class Watched(Deadlines[Connection]):
    """Counts how often a connection is checked."""

    looks = 0

    def deadline_of(self, connection: Connection) -> float:
        self.looks += 1
        return super().deadline_of(connection)


@pytest.fixture
def deadlines() -> Iterator[tuple[Watched, list[Connection]]]:
    """A thousand connections that were opened at second 100."""
    with closing(socket.socket()) as sock:
        connections = [Connection(sock, RequestParser(), 100.0) for _ in range(CONNECTIONS)]
        watched = Watched(KNOBS, 100.0)
        for connection in connections:
            watched.schedule(connection)
        watched.looks = 0
        yield watched, connections


def test_a_tick_checks_no_connection_that_is_not_due(deadlines: tuple[Watched, list[Connection]]) -> None:
    watched, _ = deadlines
    for tenth in range(1000, 1149):
        assert list(watched.expired(tenth / 10)) == []
    assert watched.looks == 0


def test_every_due_connection_is_returned_once(deadlines: tuple[Watched, list[Connection]]) -> None:
    watched, connections = deadlines
    late = list(watched.expired(116.5))
    assert set(late) == set(connections) and len(late) == CONNECTIONS
    assert watched.looks == CONNECTIONS
    assert list(watched.expired(140.0)) == []


def test_an_active_connection_is_checked_once_per_timeout_period(
    deadlines: tuple[Watched, list[Connection]],
) -> None:
    """Activity does not touch the schedule: the connection is scheduled again when its old second comes."""
    watched, connections = deadlines
    for second in range(101, 160):
        for connection in connections:
            connection.phase_start_s = float(second)
        assert list(watched.expired(second + 0.5)) == []
    assert watched.looks <= CONNECTIONS * 2 * (60 / 15 + 1), (
        "two looks for each period: is it late, and when will it be"
    )


def test_a_removed_connection_never_expires(deadlines: tuple[Watched, list[Connection]]) -> None:
    watched, connections = deadlines
    for connection in connections:
        watched.remove(connection)
    assert list(watched.expired(1000.0)) == []
