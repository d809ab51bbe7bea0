"""Several shards are one load: their schedules, their shares and their outcomes add up exactly."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.protocol import histogram
from app.load.protocol.merging import merge
from app.load.protocol.meter import (
    BUCKETS,
    COUNTERS,
    MeterReader,
    MeterReading,
    MeterWriter,
    combine,
    make_meter,
)
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.protocol.plan import SPACINGS, Plan, Stage
from app.load.protocol.shard_share import ShardShare
from app.runs.generator import Generator, NoOutcome
from tests.engines.driver import Variant, running
from tests.waiting import BOUND_S

from .driver import HELD_S, OPEN, TIMEOUT_S, answered, service, until

SHARDS = st.integers(1, 5)
RATES = st.floats(0, 3000)
RAMPS = st.builds(
    Ramp,
    st.floats(1, 3000),
    st.lists(st.builds(Stage, st.floats(0, 0.3), RATES), max_size=3).map(tuple),
)
SAMPLES = st.lists(st.integers(0, 200_000_000), max_size=60)


@given(st.integers(0, 10_000), SHARDS)
def test_shares_add_up(count: int, shards: int) -> None:
    shares = [ShardShare(number, shards).portion(count) for number in range(shards)]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


@given(RAMPS, st.sampled_from(SPACINGS), SHARDS, st.integers(0, 9))
def test_the_schedules_of_all_shards_are_that_of_one(
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
def test_a_ramp_brings_as_many_arrivals_as_the_area_under_it(ramp: Ramp) -> None:
    levels = [ramp.start, *(stage.target for stage in ramp.stages)]
    area = sum(
        (a + b) / 2 * stage.duration_s for a, b, stage in zip(levels, levels[1:], ramp.stages, strict=False)
    )
    if ramp.stages:
        times = list(Schedule(ramp, "constant").times(0, 10**12))
        assert abs(len(times) - area) <= 1.001
        assert all(0 <= at <= sum(stage.duration_s for stage in ramp.stages) * 1e9 + 1 for at in times)


@settings(max_examples=30)  # an HdrHistogram costs half a millisecond, and each of these makes dozens
@given(st.lists(st.tuples(SAMPLES, SAMPLES), min_size=1, max_size=4))
def test_merged_outcomes_hold_every_sample_once(parts: list[tuple[list[int], list[int]]]) -> None:
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
def test_how_long_shards_waited_for_a_cpu_is_the_mean_or_not_known(
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


def test_meters_are_read_as_one() -> None:
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


def generate(port: int, plan: Plan, disturb: Any = None) -> tuple[Outcome, Generator, list[MeterReading]]:
    """Run a plan as the lab does; `disturb(generator)` is called when every shard has had an answer."""

    async def run() -> tuple[Outcome, Generator, list[MeterReading]]:
        generator = Generator.spawn(plan, "127.0.0.1", port, None)
        try:
            async with asyncio.timeout(BOUND_S):
                if disturb:
                    while not all(shard.read().completed for shard in generator._shards):
                        await asyncio.sleep(0.005)
                    disturb(generator)
                await generator.exited
            return generator.outcome(), generator, [shard.read() for shard in generator._shards]
        finally:
            await generator.close()

    # On a thread of its own: a browser test of the same process may have left its event loop running on this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


@pytest.mark.parametrize("executor", ["constant-vus", OPEN])
def test_three_shards_load_one_engine_together(executor: str) -> None:
    plan = Plan(
        executor,
        vus=7,
        rate_per_s=302.0,
        duration_s=0.5,
        warmup_s=0.1,
        shards=3,
        idle_connections=5,
        think_time_ms=1.0,
        slow_writers=1,
        timeout_s=TIMEOUT_S,
    )
    with running(Variant("reactor")) as engine:
        merged, generator, meters = generate(engine.port, plan)
        assert generator.lost is None
        assert len({meter.started_ns for meter in meters}) == 1
        assert (merged.shards, merged.idle_connections_held, merged.connections_peak) == (3, 5, 7 + 5 + 1)
        assert merged.errors == {}
        # The engine counts a request on its board after it has sent the answer.
        until(lambda: engine.board().requests >= answered(merged), "the engine has counted all requests")
        assert engine.board().requests == answered(merged)
        assert service(merged).count == merged.requests == merged.sent
        if executor == OPEN:
            assert merged.intended == merged.requests == 151
            assert merged.duration_s == 0.5
            assert [second.length_s for second in merged.seconds if second.phase == "measure"] == [0.5]
            assert histogram.decode(merged.lateness).total_count == 151


def kill_first(generator: Generator) -> None:
    os.kill(generator._shards[0].child.pid, signal.SIGKILL)


def kill_first_and_stop(generator: Generator) -> None:
    kill_first(generator)
    generator.stop()


def test_a_lost_shard_is_reported_and_the_rest_is_kept() -> None:
    with running(Variant("reactor")) as engine:
        plan = Plan(vus=4, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0, shards=2)
        merged, generator, _ = generate(engine.port, plan, kill_first_and_stop)
        assert generator.lost == "1 of 2 shards of the load ended by signal SIGKILL without a result."
        assert (merged.shards, merged.connections_peak) == (1, 2)
        assert merged.requests > 0


def test_no_shard_left_is_no_outcome() -> None:
    with running(Variant("reactor")) as engine, pytest.raises(NoOutcome, match="SIGKILL without a result"):
        generate(engine.port, Plan(vus=4, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0), kill_first)


def test_shards_that_are_stopped_have_an_outcome() -> None:
    with running(Variant("reactor")) as engine:
        plan = Plan(vus=4, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0, shards=2)
        merged, generator, _ = generate(engine.port, plan, Generator.stop)
        assert merged.stopped
        assert (merged.shards, generator.lost) == (2, None)
        assert 0 < merged.duration_s < HELD_S
