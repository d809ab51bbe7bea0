"""The cost ledger: what is computed from the edges and samples of the measured window."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.results.ledger import cost
from app.results.observation import DepthSamples, Edge, Observation
from app.schemas.result import Ledger

SECOND_NS = 10**9


def edge(at_s: float, requests: int, accepted: int) -> Edge:
    counters = defaultdict(int, accepted=accepted)
    board = SimpleNamespace(requests=requests, counters=counters, io_calls=0, connections_total=0, threads=())
    return Edge(int(at_s * SECOND_NS), cast(Any, board), None, None, None, {})


def ledger(accepted: int, queue: DepthSamples) -> Ledger:
    observation = Observation(
        "reactor-1",
        "reactor",
        "Reactor",
        first=edge(5, 100, 7),
        last=edge(7, 300, 7 + accepted),
        accept_queue=queue,
    )
    found = cost(observation, None)
    assert found
    return found


def test_the_wait_in_the_accept_queue_is_depth_over_rate() -> None:
    found = ledger(accepted=1000, queue=DepthSamples(count=100, total=250, peak=9))
    assert (found.accept_queue_mean, found.accept_queue_peak) == (2.5, 9)
    assert found.accept_wait_us == pytest.approx(5000), "2.5 waiting, 500 accepted per second"


def test_an_empty_accept_queue_is_known() -> None:
    found = ledger(accepted=10, queue=DepthSamples(count=100))
    assert (found.accept_queue_mean, found.accept_queue_peak, found.accept_wait_us) == (0.0, 0, 0.0)


def test_without_samples_the_accept_queue_is_unknown() -> None:
    found = ledger(accepted=10, queue=DepthSamples())
    assert (found.accept_queue_mean, found.accept_queue_peak, found.accept_wait_us) == (None, None, None)


def test_without_accepted_connections_there_is_no_wait() -> None:
    found = ledger(accepted=0, queue=DepthSamples(count=100, total=100, peak=1))
    assert (found.accept_queue_mean, found.accept_wait_us) == (1.0, None)
