"""Outcomes of several shards are merged exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.load.protocol import histogram
from app.load.protocol.merging import merge
from app.load.protocol.outcome import KindOutcome, Outcome, Second

SAMPLES = st.lists(st.integers(0, 200_000_000), max_size=60)


@settings(max_examples=30)  # an HdrHistogram costs half a millisecond, and each of these makes dozens
@given(st.lists(st.tuples(SAMPLES, SAMPLES), min_size=1, max_size=4))
def test_merged_outcomes_have_every_sample_once(parts: list[tuple[list[int], list[int]]]) -> None:
    merged = merge([outcome(first, second) for first, second in parts])
    everything = [us for first, second in parts for us in first + second]
    assert held(merged.kinds[0].service) == held(packed(everything))
    for number in range(2):
        assert held(merged.seconds[number].service) == held(
            packed([us for part in parts for us in part[number]])
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
    shards = [replace(outcome([1], [2]), run_queue_ns=each) for each in waited_ns]
    assert merge(shards).waited_for_cpu == share, "of 2 s"


def packed(samples: list[int]) -> str:
    return histogram.encode(histogram.from_counts(Counter(samples).items()))


def held(text: str) -> list[int]:
    return list(histogram.decode(text).counts)


def outcome(first: list[int], second: list[int]) -> Outcome:
    """That of a closed model whose two seconds had these latencies."""
    everything = packed(first + second)
    rows = [
        Second(float(number), 1.0, "measure", None, len(each), len(each), 0, 4, packed(each), packed(each))
        for number, each in enumerate((first, second))
    ]
    return Outcome(
        started_at="2026-01-01T00:00:00.000Z",
        measured_from_ns=10**9,
        measured_to_ns=3 * 10**9,
        duration_s=2.0,
        stopped=False,
        requests=len(first + second),
        errors={"timeout": 1, "reset": 2},
        intended=None,
        sent=len(first + second),
        dropped=0,
        late=0,
        waited=0,
        reconnects=0,
        bytes_in=0,
        bytes_out=0,
        connections_peak=4,
        idle_connections_held=0,
        cpu_user_s=0.6,
        cpu_system_s=0.4,
        wall_s=2.0,
        send_jitter_p99_us=None,
        in_flight_ns=0,
        seconds=tuple(rows),
        missing=1,
        idle_missing=2,
        background_closed=3,
        kinds=(KindOutcome("plaintext", "plaintext", len(first + second), {}, everything, everything),),
    )
