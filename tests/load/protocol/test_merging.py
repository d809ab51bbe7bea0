"""Outcomes of several shards are merged exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.merging import merge
from tests.load.outcomes import closed_outcome, encoded

SAMPLES = st.lists(st.integers(0, 200_000_000), max_size=60)


@settings(max_examples=30)  # an HdrHistogram costs half a millisecond, and each of these makes dozens
@given(st.lists(st.tuples(SAMPLES, SAMPLES), min_size=1, max_size=4))
def test_merged_outcomes_have_every_sample_once(parts: list[tuple[list[int], list[int]]]) -> None:
    merged = merge([closed_outcome(first, second) for first, second in parts])
    everything = [us for first, second in parts for us in first + second]
    assert held(merged.kinds[0].service) == held(encoded(everything))
    for number in range(2):
        assert held(merged.seconds[number].service) == held(
            encoded([us for part in parts for us in part[number]])
        )
    assert (merged.requests, merged.shards) == (len(everything), len(parts))
    assert merged.errors == ({"timeout": len(parts), "reset": 2 * len(parts)})
    assert (merged.missing, merged.idle_missing, merged.background_closed) == tuple(
        len(parts) * n for n in (1, 2, 3)
    )
    assert [second.t for second in merged.seconds] == [0.0, 1.0]
    assert merged.utilisation == pytest.approx(0.5)


@pytest.mark.parametrize(("waited_ns", "share"), [((10**9, 0), 0.25), ((10**9, None), None), ((None,), None)])
def test_the_wait_for_a_cpu_is_the_mean_of_the_shards_or_unknown(
    waited_ns: tuple[int | None, ...], share: float | None
) -> None:
    shards = [replace(closed_outcome([1], [2]), run_queue_ns=each) for each in waited_ns]
    assert merge(shards).waited_for_cpu == share, "of 2 s"


@pytest.mark.parametrize(
    ("shards", "merged"),
    [
        (([3, 0], [5]), ConnectionRequests.of([3, 0, 5])),
        (([1], None), None),
        ((None, None), None),
    ],
)
def test_requests_per_connection_are_those_of_all_shards_or_unknown(
    shards: tuple[list[int] | None, ...], merged: ConnectionRequests | None
) -> None:
    parts = [
        replace(closed_outcome([1], [2]), per_connection=each and ConnectionRequests.of(each))
        for each in shards
    ]
    assert merge(parts).per_connection == merged


def held(text: str) -> list[int]:
    return list(histogram.decode(text).counts)
