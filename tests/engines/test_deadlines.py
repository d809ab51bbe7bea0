"""A deadline costs one look when it is due, however many peers there are and however often somebody looks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from engines.common.connection import Peer
from engines.common.deadlines import Deadlines

PEERS = 1000
KNOBS = SimpleNamespace(idle_s=15, header_s=10, body_s=30, write_s=10)


class Watched(Deadlines):
    """Counts how often a peer is looked at."""

    looks = 0

    def of(self, peer: Peer) -> float:
        self.looks += 1
        return super().of(peer)


@pytest.fixture
def deadlines() -> Iterator[tuple[Watched, list[Peer]]]:
    """A thousand peers that came at second 100."""
    with closing(socket.socket()) as sock:
        peers = [Peer(sock, 100.0) for _ in range(PEERS)]
        watched = Watched(KNOBS, 100.0)
        for peer in peers:
            watched.file(peer)
        watched.looks = 0
        yield watched, peers


def test_a_tick_looks_at_nobody_who_is_not_due(deadlines: tuple[Watched, list[Peer]]) -> None:
    watched, _ = deadlines
    for tenth in range(1000, 1149):
        assert list(watched.expired(tenth / 10)) == []
    assert watched.looks == 0


def test_whoever_is_due_is_found_once(deadlines: tuple[Watched, list[Peer]]) -> None:
    watched, peers = deadlines
    late = list(watched.expired(116.5))
    assert set(late) == set(peers) and len(late) == PEERS
    assert watched.looks == PEERS
    assert list(watched.expired(140.0)) == []


def test_who_was_active_is_looked_at_once_a_period(deadlines: tuple[Watched, list[Peer]]) -> None:
    """Activity does not touch the list: the peer is filed again when its old second comes."""
    watched, peers = deadlines
    for second in range(101, 160):
        for peer in peers:
            peer.since_s = float(second)
        assert list(watched.expired(second + 0.5)) == []
    assert watched.looks <= PEERS * 2 * (60 / 15 + 1), (
        "two looks for each period: is it late, and when will it be"
    )


def test_who_is_forgotten_is_never_late(deadlines: tuple[Watched, list[Peer]]) -> None:
    watched, peers = deadlines
    for peer in peers:
        watched.forget(peer)
    assert list(watched.expired(1000.0)) == []
