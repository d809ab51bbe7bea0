"""Requests per connection: Jain's index by its definition, and sums that shards add exactly."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.connection_requests import ConnectionRequests

RESPONSES = st.lists(st.integers(0, 10**7), min_size=1, max_size=50)


@given(RESPONSES)
def test_the_index_is_that_of_the_definition(responses: list[int]) -> None:
    found = ConnectionRequests.of(responses)
    assert (found.connections, found.total) == (len(responses), sum(responses))
    assert (found.minimum, found.maximum) == (min(responses), max(responses))
    if not any(responses):
        assert found.jain is None
        return
    mean = sum(responses) / len(responses)
    variance = sum((each - mean) ** 2 for each in responses) / len(responses)
    # J = 1 / (1 + CV²), with the coefficient of variation CV of the population.
    assert found.jain is not None
    assert found.jain == pytest.approx(1 / (1 + variance / mean**2))
    assert 1 / len(responses) - 1e-9 <= found.jain <= 1 + 1e-9


@given(st.lists(RESPONSES, min_size=1, max_size=4))
def test_the_sums_of_shards_are_those_of_all_connections(shards: list[list[int]]) -> None:
    together = ConnectionRequests.of([each for shard in shards for each in shard])
    assert reduce(add, map(ConnectionRequests.of, shards)) == together


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 10**6))
def test_the_index_is_the_share_of_connections_that_are_served_equally(k: int, rest: int, each: int) -> None:
    assert ConnectionRequests.of([each] * k + [0] * rest).jain == pytest.approx(k / (k + rest))
