"""Outcomes of several shards are merged exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.merging import busiest_cpu, merge
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
        replace(closed_outcome([1], [2]), per_connection=ConnectionRequests.of(each) if each else None)
        for each in shards
    ]
    assert merge(parts).per_connection == merged


UTILISED = [replace(closed_outcome([1], [2]), busiest=used) for used in (0.4, 0.3, 0.2)]


@pytest.mark.parametrize(
    ("pinned_to", "cpus", "busiest"),
    [
        ((1, 1, 1), 2, 0.9),
        ((0, 1, 1), 2, 0.5),
        ((0, 1, 2), 4, 0.4),
        ((None, None, None), 4, 0.4),
        ((None, None, None), 2, 0.45),
        ((None, None, None), 1, 0.9),
    ],
    ids=[
        "one CPU",
        "two on one CPU",
        "a CPU each",
        "unpinned",
        "unpinned on two CPUs",
        "unpinned on one CPU",
    ],
)
def test_the_busiest_cpu_carries_all_shards_that_are_pinned_to_it(
    pinned_to: tuple[int | None, ...], cpus: int, busiest: float
) -> None:
    assert busiest_cpu(list(zip(pinned_to, UTILISED, strict=True)), cpus) == pytest.approx(busiest)


def test_groups_of_several_outcomes_are_merged_by_name() -> None:
    one, other = (replace(closed_outcome([1], [2]), groups={name: UTILISED[0]}) for name in ("a", "b"))
    merged = merge([one, other, one]).groups
    assert {name: (each.shards, each.requests) for name, each in merged.items()} == {"a": (2, 4), "b": (1, 2)}


def held(text: str) -> list[int]:
    return list(histogram.decode(text).counts)
