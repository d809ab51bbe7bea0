"""Several shards make one load, as the lab runs them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.hosts.local_host import LocalHost
from app.load.protocol import histogram
from app.load.protocol.meter import MeterReading
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import SHARED, LoadGroup, Plan, Work
from app.machine.cpu_placement import Placement
from app.machine.system import read_system
from app.runs.generator import Generator, GeneratorFailed
from app.settings import Settings
from tests.engines.driver import Variant, running
from tests.load.driver import HELD_S, OPEN, TIMEOUT_S, all_responses, service, until
from tests.waiting import BOUND_S


def generate(
    port: int, plan: Plan, disturb: Any = None, look: Any = None
) -> tuple[Outcome, Generator, list[MeterReading]]:
    """Run a plan as the lab does.

    `disturb(generator)` is called when every shard has had a response, `look(generator)` when all
    have exited.
    """

    async def run() -> tuple[Outcome, Generator, list[MeterReading]]:
        pool = LocalHost(read_system(None, Settings()))
        generator = await Generator.spawn(plan, "127.0.0.1", port, pool, Placement(SHARED, None, None))
        try:
            async with asyncio.timeout(BOUND_S):
                if disturb:
                    while not all(shard.read().completed for shard in generator._shards):
                        await asyncio.sleep(0.005)
                    disturb(generator)
                await generator.exited
            if look:
                look(generator)
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


def test_groups_load_the_engine_beside_the_main_load_from_the_same_instant() -> None:
    groups = (
        LoadGroup("new", vus=3, rate_per_s=151.0, churn=True),
        LoadGroup("slow", vus=2, work=(Work("sleep", params={"ms": 1}),), think_time_ms=1.0),
    )
    plan = Plan(
        vus=5, duration_s=0.5, warmup_s=0.1, shards=2, think_time_ms=1.0, timeout_s=TIMEOUT_S, groups=groups
    )
    with running(Variant("reactor")) as engine:
        merged, generator, meters = generate(engine.port, plan)
        assert generator.lost_shard is None
        assert len(meters) == 4 and len({meter.started_ns for meter in meters}) == 1
        new, slow = merged.groups.values()
        assert list(merged.groups) == ["new", "slow"] and merged.loads == (merged, new, slow)
        assert [each.errors for each in merged.loads] == [{}, {}, {}]
        assert (new.intended, new.requests, new.duration_s) == (76, 76, 0.5), "at 0/151 to 75/151 s"
        assert slow.kinds[0].label == "sleep ms=1" and slow.requests == slow.sent > 0
        assert (merged.shards, merged.connections_peak, slow.connections_peak) == (2, 5, 2)
        assert merged.per_connection and merged.per_connection.connections == 5
        assert new.per_connection is None and slow.per_connection and slow.per_connection.connections == 2
        everything = sum(all_responses(each) for each in merged.loads)
        until(lambda: engine.board().requests >= everything, "the engine has counted all requests")
        assert engine.board().requests == everything


def test_live_figures_are_of_the_main_load_and_the_cpu_time_is_of_all() -> None:
    seen: list[MeterReading] = []
    with running(Variant("reactor")) as engine:
        plan = Plan(
            vus=4,
            duration_s=HELD_S,
            warmup_s=0.0,
            think_time_ms=1.0,
            groups=(LoadGroup("other", think_time_ms=1.0),),
        )
        stop, look = Generator.stop, lambda generator: seen.append(generator.read())
        _, _, (main, other) = generate(engine.port, plan, stop, look)
    (live,) = seen
    assert live.completed == main.completed > 0 and other.completed > 0
    assert live.cpu_ns == main.cpu_ns + other.cpu_ns


def test_a_lost_group_is_reported_and_the_main_load_is_kept() -> None:
    def kill_group(generator: Generator) -> None:
        generator._shards[1].kill()
        generator.stop()

    with running(Variant("reactor")) as engine:
        plan = Plan(vus=2, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0, groups=(LoadGroup("new"),))
        merged, generator, _ = generate(engine.port, plan, kill_group)
        assert "1 of 2 load-generator processes ended by signal SIGKILL" in (generator.lost_shard or "")
        assert merged.requests > 0 and merged.groups == {}


def test_groups_without_a_main_load_have_no_outcome() -> None:
    def kill_main(generator: Generator) -> None:
        kill_first(generator)
        generator.stop()

    with running(Variant("reactor")) as engine:
        plan = Plan(vus=2, duration_s=HELD_S, warmup_s=0.0, think_time_ms=1.0, groups=(LoadGroup("new"),))
        with pytest.raises(GeneratorFailed, match="1 of 2 load-generator processes"):
            generate(engine.port, plan, kill_main)


def kill_first(generator: Generator) -> None:
    generator._shards[0].kill()


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
