"""Latency histograms: quantised counts, merging, and which percentiles they support."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol import histogram
from app.load.protocol.meter import BUCKETS, bucket_of, quantile_us

MICROSECONDS = st.integers(0, 5_000_000_000)


SAMPLES = st.lists(MICROSECONDS, max_size=200)


def exact(samples: list[int]) -> object:
    made = histogram.new()
    for us in samples:
        made.record_value(min(max(us, histogram.LOWEST_US), histogram.HIGHEST_US))
    return made


def counts(made: object) -> list[int]:
    return list(made.counts)  # type: ignore[attr-defined]


def folded(samples: list[int]) -> dict[int, int]:
    into: dict[int, int] = {}
    histogram.add_quantised(Counter(samples), into)
    return into


@given(MICROSECONDS.filter(lambda us: 1 <= us <= histogram.HIGHEST_US))
def test_a_quantised_value_is_within_0_1_percent(us: int) -> None:
    assert 0 <= us - histogram.quantise(us) <= us * 0.001


@pytest.mark.parametrize("seconds", [119, 121, 205, 600, 4_000])
def test_a_time_longer_than_two_minutes_is_recorded_as_it_is(seconds: int) -> None:
    us = seconds * 1_000_000
    times = histogram.percentiles(histogram.from_counts([(us, 100)]))
    assert times.p90_us == times.max_us == pytest.approx(us, rel=0.001)
    assert quantile_us([int(place == bucket_of(us)) for place in range(BUCKETS)], 0.5) == pytest.approx(
        us, rel=0.125
    )


@given(SAMPLES)
def test_quantised_counts_make_the_same_histogram_as_the_samples(samples: list[int]) -> None:
    packed = histogram.PackedCounts.from_counts(folded(samples))
    assert counts(histogram.from_counts(packed.items())) == counts(exact(samples))


@given(st.lists(SAMPLES, max_size=5))
def test_merged_histograms_equal_the_histogram_of_all_samples(parts: list[list[int]]) -> None:
    sent = [histogram.encode(histogram.from_counts(folded(part).items())) for part in parts]
    merged = histogram.merge(histogram.decode(text) for text in sent)
    everything = [us for part in parts for us in part]
    assert counts(merged) == counts(exact(everything))
    assert merged.total_count == len(everything)


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=100))
def test_the_mean_is_within_0_1_percent(samples: list[int]) -> None:
    mean = histogram.percentiles(exact(samples)).mean_us
    assert mean == pytest.approx(sum(samples) / len(samples), rel=0.001)


@pytest.mark.parametrize(
    ("count", "reached"),
    [
        (0, ""),
        (19, ""),
        (20, "p50"),
        (99, "p50"),
        (100, "p50 p90"),
        (1000, "p50 p90 p99"),
        (9999, "p50 p90 p99"),
        (10_000, "p50 p90 p99 p999"),
    ],
)
def test_a_percentile_needs_ten_samples_above_it(count: int, reached: str) -> None:
    latency = histogram.percentiles(histogram.from_counts([(100, count)] if count else []))
    shown = [name for name in ("p50", "p90", "p99", "p999") if getattr(latency, f"{name}_us") is not None]
    assert shown == reached.split()
    assert (latency.max_us, latency.mean_us) == ((100.0, 100.0) if count else (None, None))
