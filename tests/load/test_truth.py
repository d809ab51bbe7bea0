"""Latency truth: what the generator says of a server is what the server's own clock says, and what arithmetic says."""

from __future__ import annotations

import random
import time

import pytest

from app.lab.summary import little_residual
from app.load import histogram
from app.load.meter import MEASURE
from app.load.outcome import Outcome
from tests.engines.driver import Variant, running

from .driver import Running, ServerMaker, Starter, run_load, until
from .server import Answer, ok

OPEN = "constant-arrival-rate"
STALL_S = 0.5
WAY_US = 2_000.0  # the server's clock does not see the way to us, which a busy machine makes long
NEAR_US = 50_000.0  # a busy machine wakes whoever is due so much later; 5 % of the stall are 25 ms


def quantile(outcome: Outcome, clock: str, q: float) -> float:
    total = histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)
    return float(total.get_value_at_percentile(100 * q))


def of_two_speeds(quick_s: float, slow_s: float) -> Answer:
    """One in four answers is slow, in an order that was thrown once."""
    dice = random.Random(5)

    def answer(path: str, body: bytes) -> bytes:
        time.sleep(slow_s if dice.random() < 0.25 else quick_s)
        return ok()

    return answer


def test_percentiles_are_those_of_the_servers_own_clock(serve: ServerMaker) -> None:
    server = serve(of_two_speeds(0.02, 0.08))
    outcome = run_load(server.port, executor=OPEN, rate_per_s=200.0, vus=48, duration_s=1.5)
    assert outcome.errors == {}
    truth = sorted(server.took_us)
    for q in (0.5, 0.9):
        known = truth[int(q * len(truth))]
        said = quantile(outcome, "service", q)
        assert known * 0.98 - 100 <= said <= known * 1.02 + WAY_US


def test_a_stall_is_in_the_response_time_as_the_schedule_says(start: Starter) -> None:
    """Who was due when the engine stopped is answered when it goes on: the rest is subtraction."""
    with running(Variant("reactor")) as engine:
        load = start(engine.port, executor=OPEN, rate_per_s=200.0, vus=8, duration_s=2.0)
        reach_middle(load)
        with engine.frozen():
            stopped_ns = time.monotonic_ns()
            until(lambda: time.monotonic_ns() >= stopped_ns + STALL_S * 1e9, "the stall is over")
            on_ns = time.monotonic_ns()
        outcome = load.outcome()
    assert outcome.requests == outcome.intended == 400
    due = [outcome.measured_from_ns + number * 5_000_000 for number in range(400)]
    stalled = sorted((on_ns - at) / 1000 for at in due if stopped_ns <= at < on_ns)
    expected = [0.0] * (400 - len(stalled)) + stalled
    for q in (0.9, 0.95, 0.99, 1.0):
        known = expected[min(399, int(q * 400))]
        assert quantile(outcome, "response", q) == pytest.approx(known, rel=0.05, abs=NEAR_US)
    assert quantile(outcome, "response", 1.0) >= 0.95 * STALL_S * 1e6
    assert quantile(outcome, "service", 0.9) < 0.2 * quantile(outcome, "response", 0.9)  # 8 connections hide the rest


def test_a_closed_model_hides_the_same_stall(start: Starter) -> None:
    with running(Variant("reactor")) as engine:
        load = start(engine.port, vus=2, think_time_ms=5.0, duration_s=2.0)
        reach_middle(load)
        with engine.frozen():
            stopped_ns = time.monotonic_ns()
            until(lambda: time.monotonic_ns() >= stopped_ns + STALL_S * 1e9, "the stall is over")
        outcome = load.outcome()
    assert quantile(outcome, "response", 1.0) >= 0.95 * STALL_S * 1e6
    assert quantile(outcome, "response", 0.95) < 0.2 * STALL_S * 1e6  # 2 of some 400 requests have seen it


def reach_middle(load: Running) -> None:
    load.reach(MEASURE)
    until(lambda: load.meter.read().completed >= 100, "a part of the load")


@pytest.mark.parametrize(
    "plan",
    [{"vus": 8}, {"vus": 8, "think_time_ms": 3.0}],
    ids=["closed", "thinking"],
)
def test_littles_law_holds_while_nothing_is_saturated(plan: dict[str, object]) -> None:
    with running(Variant("blocking")) as engine:
        work = [{"kind": "sleep", "params": {"ms": 5}}]
        outcome = run_load(engine.port, work=work, duration_s=2.0, warmup_s=0.2, **plan)
        residual = little_residual(outcome)
        assert residual is not None
        assert abs(residual) <= 0.03
