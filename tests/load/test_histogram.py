"""Histograms, quantiles of the meter, schedules, answer heads, and the plan as JSON."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.connections.request_mix import RequestMix
from app.load.connections.response_head import InvalidResponse, parse_head
from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.protocol import histogram
from app.load.protocol.meter import BUCKETS, MeterReader, bucket_of, make_meter, quantile_us
from app.load.protocol.plan import EXECUTORS, KINDS, SPACINGS, Plan, Work

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
def test_a_quantised_value_is_within_a_thousandth(us: int) -> None:
    assert 0 <= us - histogram.quantise(us) <= us * 0.001


@pytest.mark.parametrize("seconds", [119, 121, 205, 600, 4_000])
def test_a_time_longer_than_two_minutes_is_what_it_was(seconds: int) -> None:
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
def test_merged_parts_are_the_histogram_of_all(parts: list[list[int]]) -> None:
    sent = [histogram.encode(histogram.from_counts(folded(part).items())) for part in parts]
    merged = histogram.merge(histogram.decode(text) for text in sent)
    everything = [us for part in parts for us in part]
    assert counts(merged) == counts(exact(everything))
    assert merged.total_count == len(everything)


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=100))
def test_the_mean_is_within_a_thousandth(samples: list[int]) -> None:
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


@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=100), st.floats(0.01, 1.0))
def test_the_meters_quantile_is_within_its_place(samples: list[int], q: float) -> None:
    buckets = [0] * BUCKETS
    for us in samples:
        buckets[bucket_of(us)] += 1
    true = sorted(samples)[max(0, math.ceil(q * len(samples)) - 1)]
    told = quantile_us(buckets, q)
    assert told is not None
    assert abs(told - true) <= true / 8 + 1


def test_no_samples_have_no_quantile() -> None:
    assert quantile_us([0] * BUCKETS, 0.5) is None


@given(MICROSECONDS, MICROSECONDS)
def test_places_of_the_meter_keep_the_order(a: int, b: int) -> None:
    assert (bucket_of(a) <= bucket_of(b)) == (a <= b) or bucket_of(a) == bucket_of(b)


def test_a_new_meter_reads_as_nothing() -> None:
    fd = make_meter()
    with closing(MeterReader(fd)) as reader:
        reading = reader.read()
    os.close(fd)
    assert (reading.phase, reading.sent, sum(reading.service)) == (0, 0, 0)


WORKS = st.builds(
    Work, st.sampled_from(KINDS), st.integers(1, 100), st.dictionaries(st.sampled_from("n"), st.just(5))
)
PLANS = st.builds(
    Plan,
    executor=st.sampled_from(EXECUTORS),
    vus=st.integers(1, 1000),
    rate_per_s=st.none() | st.floats(1, 1e5),
    spacing=st.sampled_from(SPACINGS),
    duration_s=st.floats(0.1, 100),
    work=st.lists(WORKS, min_size=1, max_size=4).map(tuple),
)


@given(PLANS)
def test_a_plan_survives_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 3))
def test_shares_are_exact_over_whole_rounds(weights: list[int], rounds: int) -> None:
    plan = Plan(work=tuple(Work("bytes", weight, {"n": n}) for n, weight in enumerate(weights)))
    mix = RequestMix(plan, "h:1")
    picked = Counter(mix.pick().label for _ in range(sum(weights) * rounds))
    assert [picked[kind.label] for kind in mix.kinds] == [weight * rounds for weight in weights]


@given(st.floats(1, 50_000), st.floats(0.001, 0.5))
def test_constant_spacing_is_exact(rate: float, length_s: float) -> None:
    times = list(Schedule(Ramp(rate), "constant").times(10**9, 10**9 + int(length_s * 1e9)))
    assert abs(len(times) - rate * length_s) <= 1.001
    assert all(abs(at - 10**9 - number * 1e9 / rate) <= 1 for number, at in enumerate(times))


def test_poisson_spacing_is_seeded_and_stays_inside() -> None:
    first, again = (list(Schedule(Ramp(5000), "poisson", seed=7).times(0, 10**9)) for _ in range(2))
    assert first == again == sorted(first)
    assert first[0] >= 0 and first[-1] < 10**9
    assert len(first) == pytest.approx(5000, abs=300)
    assert first != list(Schedule(Ramp(5000), "poisson", seed=8).times(0, 10**9))


def test_a_head_is_read_only_when_it_is_whole() -> None:
    whole = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-LENGTH: 5\r\nConnection: Close\r\n\r\n"
    for cut in range(len(whole)):
        assert parse_head(whole[:cut]) is None
    head = parse_head(whole + b"hello")
    assert head is not None
    assert (head.status, head.status_line, head.total_bytes, head.closes) == (
        200,
        b"HTTP/1.1 200 OK\r\n",
        len(whole) + 5,
        True,
    )


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        b"x" * 40_000,
    ],
)
def test_a_head_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parse_head(data)
