"""Schedules and ramps: when each request is due, for one shard and for several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.protocol.plan import SPACINGS, Stage
from app.load.protocol.shard_share import ShardShare


@given(st.floats(1, 50_000), st.floats(0.001, 0.5))
def test_constant_spacing_is_exact(rate: float, length_s: float) -> None:
    times = list(Schedule(Ramp(rate), "constant").times(10**9, 10**9 + int(length_s * 1e9)))
    assert abs(len(times) - rate * length_s) <= 1.001
    assert all(abs(at - 10**9 - number * 1e9 / rate) <= 1 for number, at in enumerate(times))


def test_poisson_spacing_is_reproducible_and_within_the_phase() -> None:
    first, again = (list(Schedule(Ramp(5000), "poisson", seed=7).times(0, 10**9)) for _ in range(2))
    assert first == again == sorted(first)
    assert first[0] >= 0 and first[-1] < 10**9
    assert len(first) == pytest.approx(5000, abs=300)
    assert first != list(Schedule(Ramp(5000), "poisson", seed=8).times(0, 10**9))


SHARDS = st.integers(1, 5)


RATES = st.floats(0, 3000)


RAMPS = st.builds(
    Ramp,
    st.floats(1, 3000),
    st.lists(st.builds(Stage, st.floats(0, 0.3), RATES), max_size=3).map(tuple),
)


@given(RAMPS, st.sampled_from(SPACINGS), SHARDS, st.integers(0, 9))
def test_the_schedules_of_all_shards_together_are_the_schedule_of_one(
    ramp: Ramp, spacing: str, shards: int, seed: int
) -> None:
    span = (10**9, 10**9 + 400_000_000)
    whole = list(Schedule(ramp, spacing, seed=seed).times(*span))
    parts = [
        list(Schedule(ramp, spacing, ShardShare(number, shards), seed).times(*span))
        for number in range(shards)
    ]
    assert sorted(at for part in parts for at in part) == whole == sorted(whole)


@given(RAMPS)
def test_a_ramp_has_as_many_arrivals_as_the_area_under_it(ramp: Ramp) -> None:
    levels = [ramp.start, *(stage.target for stage in ramp.stages)]
    area = sum(
        (a + b) / 2 * stage.duration_s for a, b, stage in zip(levels, levels[1:], ramp.stages, strict=False)
    )
    if ramp.stages:
        times = list(Schedule(ramp, "constant").times(0, 10**12))
        assert abs(len(times) - area) <= 1.001
        assert all(0 <= at <= sum(stage.duration_s for stage in ramp.stages) * 1e9 + 1 for at in times)
