"""Manners of a load, each against a real engine: the generator's count and that of the engine's board are equal."""

from __future__ import annotations

from typing import Any

import pytest

from app.load.outcome import Outcome
from tests.engines.driver import Variant, running

from .driver import run_load, service

REACTOR = Variant("reactor")
OPEN = {"executor": "constant-arrival-rate", "rate_per_s": 300.0}
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "bytes", "params": {"n": 100_000}}]


def answered(outcome: Outcome) -> int:
    """Every answer that the generator has had, in the measured time and out of it."""
    return sum(second.requests for second in outcome.seconds) + outcome.aside_requests


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"work": MIX, "think_time_ms": 1.0},
        {**OPEN, "spacing": "poisson"},
        {
            "executor": "ramping-vus",
            "vus": 1,
            "stages": [{"duration_s": 0.4, "target": 9}, {"duration_s": 0.2, "target": 2}],
        },
        {**OPEN, "executor": "ramping-arrival-rate", "stages": [{"duration_s": 0.5, "target": 900}]},
        {"churn": True, "vus": 8},
        {"churn": True, **OPEN},
        {"pipeline": 8, "work": MIX},
        {"idle_connections": 100},
        {"slow_readers": 3, "slow_writers": 3},
    ],
    ids=["closed", "mix", "open", "ramping vus", "ramping rate", "churn", "open churn", "pipeline", "idle", "slow"],
)
def test_generator_and_board_count_the_same(plan: dict[str, Any]) -> None:
    with running(REACTOR) as engine:
        outcome = run_load(engine.port, **{"warmup_s": 0.2, "timeout_s": 15.0, **plan})
        assert outcome.errors == {}
        assert answered(outcome) == engine.board().requests
        assert service(outcome).count == outcome.requests > 0
        assert outcome.requests == outcome.sent
