"""Several shards make one load, as the lab runs them."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.load.protocol import histogram
from app.load.protocol.meter import (
    MeterReading,
)
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.runs.generator import Generator, GeneratorFailed
from tests.engines.driver import Variant, running
from tests.load.driver import HELD_S, OPEN, TIMEOUT_S, all_responses, service, until
from tests.waiting import BOUND_S


def generate(port: int, plan: Plan, disturb: Any = None) -> tuple[Outcome, Generator, list[MeterReading]]:
    """Run a plan as the lab does; `disturb(generator)` is called when every shard has had a response."""

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

    # On a separate thread: a browser test of the same process may have left its event loop running on this
    # one.
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
        assert generator.lost_shard is None
        assert len({meter.started_ns for meter in meters}) == 1
        assert (merged.shards, merged.idle_connections_held, merged.connections_peak) == (3, 5, 7 + 5 + 1)
        assert merged.errors == {}
        # The engine counts a request on its board after it has sent the response.
        until(lambda: engine.board().requests >= all_responses(merged), "the engine has counted all requests")
        assert engine.board().requests == all_responses(merged)
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
        assert (
            generator.lost_shard
            == "1 of 2 load-generator processes ended by signal SIGKILL without a result."
        )
        assert (merged.shards, merged.connections_peak) == (1, 2)
        assert merged.requests > 0


def test_a_load_without_any_shard_left_has_no_outcome() -> None:
    with (
        running(Variant("reactor")) as engine,
        pytest.raises(GeneratorFailed, match="SIGKILL without a result"),
    ):
        generate(engine.port, Plan(vus=4, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0), kill_first)


def test_shards_that_are_stopped_have_an_outcome() -> None:
    with running(Variant("reactor")) as engine:
        plan = Plan(vus=4, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0, shards=2)
        merged, generator, _ = generate(engine.port, plan, Generator.stop)
        assert merged.stopped
        assert (merged.shards, generator.lost_shard) == (2, None)
        assert 0 < merged.duration_s < HELD_S
