"""Connections that come and go leak nothing: no descriptor, no thread, no memory, and no wrong response to
others.
"""

from __future__ import annotations

import pytest

from .churn import Held, churn, held
from .conftest import Starter, variants
from .driver import Variant

ROUNDS_MAX = 6  # an allocator's arenas fill up (1 to 3 rounds); what leaks grows in each
FLAT_KIB = 256  # a leak of 500 bytes per connection is 500 KiB a round
SMALL_POOL = {"buffers": 16, "buffer_size": 64}
proactors = pytest.mark.parametrize("proactor", variants(lambda variant: variant.model == "proactor"))


def test_churn_leaks_no_descriptor_and_no_thread(start: Starter, variant: Variant) -> None:
    engine = start(variant)
    at_start = held(engine)
    assert churn(engine, 520) == 0, "an answer was wrong or missing"
    held(engine, at_start)


@pytest.mark.full
def test_churn_leaks_no_memory(start: Starter, variant: Variant) -> None:
    nothing_is_left(start, variant, 520)


@pytest.mark.full
@proactors
def test_longer_churn_leaks_nothing_in_a_ring(start: Starter, proactor: Variant) -> None:
    nothing_is_left(start, proactor, 1040)


@pytest.mark.full
@proactors
def test_churn_leaks_nothing_when_buffers_are_exhausted(start: Starter, proactor: Variant) -> None:
    """52 connections share 1 KiB of buffers: receives end with ENOBUFS again and again, and no client is
    forgotten.
    """
    assert nothing_is_left(start, proactor.with_knobs(**SMALL_POOL), 1040) > 100


def nothing_is_left(start: Starter, variant: Variant, connections: int) -> int:
    """Rounds of so many connections, two at least, until one leaves no more memory in use than the one before
    it.

    Answers how often there was nothing to read, or no buffer to read into.
    """
    engine = start(variant)
    at_start = held(engine)
    rounds: list[Held] = []
    while not is_flat(rounds):
        assert len(rounds) < ROUNDS_MAX, f"memory grows with each round: {rounds}"
        assert churn(engine, connections, seed=len(rounds)) == 0, "an answer was wrong or missing"
        rounds.append(held(engine, at_start))
    return engine.board().counters["would_blocks"]


def is_flat(rounds: list[Held]) -> bool:
    return len(rounds) > 1 and rounds[-1].anonymous_kib - rounds[-2].anonymous_kib < FLAT_KIB
