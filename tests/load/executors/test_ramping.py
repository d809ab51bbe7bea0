"""Loads that follow a ramp: connections, or a rate."""

from __future__ import annotations

import pytest

from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.protocol.meter import MEASURE, WARMUP
from app.load.protocol.plan import Stage
from tests.engines.driver import Variant, running
from tests.load.driver import (
    HELD_S,
    Starter,
    run_load,
    until,
)

REACTOR = Variant("reactor")


def test_a_warm_up_has_the_connections_at_the_start_of_the_ramp(start: Starter) -> None:
    stages = [{"duration_s": HELD_S, "target": 20}]
    with running(REACTOR) as engine:
        plan = {
            "executor": "ramping-vus",
            "vus": 2,
            "think_time_ms": 5.0,
            "warmup_s": HELD_S,
            "stages": stages,
        }
        load = start(engine.port, **plan)
        load.complete(20)
        reading = load.consistent_reading()
        assert (reading.phase, reading.connections) == (WARMUP, 2)
        outcome = load.stop()
        assert (outcome.errors, outcome.connections_peak) == ({}, 2)


def test_connections_follow_a_ramp_up(start: Starter) -> None:
    stages = [{"duration_s": 0.3, "target": 20}, {"duration_s": HELD_S, "target": 20}]
    with running(REACTOR) as engine:
        load = start(
            engine.port, executor="ramping-vus", vus=2, think_time_ms=5.0, warmup_s=0.1, stages=stages
        )
        until(lambda: load.meter.read().connections == 20, "the connections at the top are open")
        outcome = load.stop()
        assert (outcome.errors, outcome.connections_peak) == ({}, 20)


def test_a_ramp_down_closes_connections(start: Starter) -> None:
    stages = [{"duration_s": 0.3, "target": 3}, {"duration_s": HELD_S, "target": 3}]
    with running(REACTOR) as engine:
        work = [{"kind": "sleep", "params": {"ms": 1}}]
        load = start(engine.port, executor="ramping-vus", vus=30, stages=stages, work=work)
        load.reach(MEASURE)
        until(lambda: load.meter.read().connections == 3, "the connections at the foot are left")
        until(lambda: engine.held() == 3, "the engine has seen the others close")
        outcome = load.stop()
        assert outcome.errors == {}
        assert outcome.connections_peak == 30


def test_a_rate_follows_its_ramp() -> None:
    stages = (Stage(0.25, 600), Stage(0, 100), Stage(0.25, 100))
    due = list(Schedule(Ramp(200.0, stages), "constant").times(0, 10**9))
    assert sum(at < 250_000_000 for at in due) == pytest.approx(100, abs=1)
    assert sum(at >= 250_000_000 for at in due) == pytest.approx(25, abs=1)
    with running(REACTOR) as engine:
        plan = {"executor": "ramping-arrival-rate", "rate_per_s": 200.0, "vus": 16}
        plan["stages"] = [{"duration_s": stage.duration_s, "target": stage.target} for stage in stages]
        outcome = run_load(engine.port, **plan)
        assert outcome.requests == outcome.sent == outcome.intended == len(due)
        assert outcome.duration_s == 0.5
