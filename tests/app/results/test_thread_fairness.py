"""Jain's index of the responses of the threads of a role."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.results.observation import Edge, Observation
from app.results.thread_fairness import fairness_by_role
from engines.common.board.board import COUNTER_NAMES, REQUESTS_2XX, REQUESTS_5XX
from engines.common.board.reader import Reading, ThreadReading


def edge(*threads: tuple[str, int, int]) -> Edge:
    """Return an edge with these threads: role, generation, responses."""
    found = []
    for slot, (role, generation, responses) in enumerate(threads):
        counters = [0] * len(COUNTER_NAMES)
        counters[REQUESTS_2XX], counters[REQUESTS_5XX] = responses // 2, responses - responses // 2
        found.append(ThreadReading(slot, generation, 1, slot, role, slot, 1, 0, tuple(counters)))
    board = Reading(None, False, False, 0, tuple(found), {}, (), {})
    return Edge(0, board, None, None, None, {})


def fairness(first: Sequence[tuple[str, int, int]], last: Sequence[tuple[str, int, int]]) -> dict[str, float]:
    return fairness_by_role(Observation("e", "m", "M", first=edge(*first), last=edge(*last)))


def test_only_the_responses_of_the_window_count() -> None:
    found = fairness(
        [("master", 1, 0), ("worker", 1, 100), ("worker", 1, 0)],
        [("master", 1, 0), ("worker", 1, 130), ("worker", 1, 10)],
    )
    assert found == {"worker": pytest.approx(40**2 / (2 * (30**2 + 10**2)))}


def test_equal_shares_are_1_and_a_single_worker_1_of_n() -> None:
    zero = [("worker", 1, 0)] * 4
    assert fairness(zero, [("worker", 1, 7)] * 4) == {"worker": 1.0}
    assert fairness(zero, [("worker", 1, 7), *zero[1:]]) == {"worker": 0.25}


def test_threads_that_began_in_the_window_and_roles_without_responses_are_left_out() -> None:
    found = fairness(
        [("worker", 1, 0), ("worker", 1, 0), ("idle", 1, 5), ("idle", 1, 5)],
        [("worker", 1, 9), ("worker", 2, 50), ("idle", 1, 5), ("idle", 1, 5)],
    )
    assert found == {}
    assert fairness_by_role(Observation("e", "m", "M")) == {}
