"""The meter: its histogram buckets, its quantiles, and readings of several meters."""

from __future__ import annotations

import math
import os
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.meter import (
    BUCKETS,
    COUNTERS,
    MeterReader,
    MeterWriter,
    bucket_of,
    combine,
    make_meter,
    quantile_us,
)

MICROSECONDS = st.integers(0, 5_000_000_000)


@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=100), st.floats(0.01, 1.0))
def test_a_quantile_is_within_its_bucket(samples: list[int], q: float) -> None:
    buckets = [0] * BUCKETS
    for us in samples:
        buckets[bucket_of(us)] += 1
    true = sorted(samples)[max(0, math.ceil(q * len(samples)) - 1)]
    estimate = quantile_us(buckets, q)
    assert estimate is not None
    assert abs(estimate - true) <= true / 8 + 1


def test_no_samples_have_no_quantile() -> None:
    assert quantile_us([0] * BUCKETS, 0.5) is None


@given(MICROSECONDS, MICROSECONDS)
def test_buckets_are_in_the_order_of_their_values(a: int, b: int) -> None:
    assert (bucket_of(a) <= bucket_of(b)) == (a <= b) or bucket_of(a) == bucket_of(b)


def test_a_new_meter_is_read_as_zeros() -> None:
    fd = make_meter()
    with closing(MeterReader(fd)) as reader:
        reading = reader.read()
    os.close(fd)
    assert (reading.phase, reading.sent, sum(reading.service)) == (0, 0, 0)


def test_readings_of_several_meters_are_combined() -> None:
    readings = []
    for phase in (2, 3):
        fd = make_meter()
        meter = MeterWriter(fd)
        meter.service[7] = phase
        meter.publish([phase, *range(1, len(COUNTERS))])
        reader = MeterReader(fd)
        os.close(fd)
        readings.append(reader.read())
        reader.close()
    both = combine(readings)
    assert (both.phase, both.started_ns, both.sent) == (2, readings[0].started_ns, 2 * readings[0].sent)
    assert both.service[7] == 5
    assert sum(both.response) == 0 and len(both.response) == BUCKETS
