"""Latency truth: what the generator says of a server is what the server's own clock says, and what arithmetic says."""

from __future__ import annotations

import time
from collections import defaultdict

import pytest

from app.lab.summary import little_residual
from app.load import histogram
from app.load.meter import MEASURE, MeterReading
from app.load.outcome import Outcome
from tests.engines.driver import Variant, running

from .driver import Running, ServerMaker, Starter, run_load, until
from .server import ok

pytestmark = pytest.mark.alone

OPEN = "constant-arrival-rate"
STALL_S = 0.5


def quantile(outcome: Outcome, clock: str, q: float) -> float:
    total = histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)
    return float(total.get_value_at_percentile(100 * q))


def test_each_kind_takes_as_long_as_by_the_servers_own_clock(serve: ServerMaker) -> None:
    """The server does not see the way to it and back; a kind that takes no time there tells how long that can be."""
    took: defaultdict[str, list[float]] = defaultdict(list)

    def answer(path: str, body: bytes) -> bytes:
        began_s = time.monotonic()
        time.sleep(int(path.partition("=")[2] or 0) / 1000)
        took[path].append((time.monotonic() - began_s) * 1e6)
        return ok()

    work = [{"kind": "plaintext"}, *({"kind": "sleep", "params": {"ms": ms}} for ms in (20, 80))]
    plan = {"executor": OPEN, "rate_per_s": 200.0, "vus": 48, "duration_s": 1.5, "work": work}
    outcome = run_load(serve(answer).port, **plan)
    assert outcome.errors == {}
    way, *slept = (histogram.decode(kind.service) for kind in outcome.kinds)
    for said, path in zip(slept, ("/sleep?ms=20", "/sleep?ms=80"), strict=True):
        assert said.total_count == len(took[path])
        for q in (0.5, 0.9):
            known = sorted(took[path])[int(q * len(took[path]))]
            most = known * 1.02 + 100 + way.get_max_value()
            assert known * 0.98 - 100 <= said.get_value_at_percentile(100 * q) <= most


def test_a_stall_is_in_the_response_time_as_the_schedule_says(start: Starter) -> None:
    """Who was due when the engine stopped is answered when it goes on and has caught up: the rest is subtraction."""
    with running(Variant("reactor")) as engine:
        load = start(engine.port, executor=OPEN, rate_per_s=200.0, vus=8, duration_s=2.0)
        reach_middle(load)
        before_ns = time.monotonic_ns()
        with engine.frozen():
            stopped_ns = time.monotonic_ns()
            until(lambda: time.monotonic_ns() >= stopped_ns + STALL_S * 1e9, "the stall is over")
            on_ns = time.monotonic_ns()
        until(lambda: behind(load.meter.read()) <= 8, "it has caught up")
        caught_up_ns = time.monotonic_ns()
        outcome = load.outcome()
    assert outcome.requests == outcome.intended == 400
    due = [outcome.measured_from_ns + number * 5_000_000 for number in range(400)]
    least, most = expected(due, stopped_ns, on_ns), expected(due, before_ns, caught_up_ns)
    for q in (0.9, 0.95, 0.99, 1.0):
        place = min(399, int(q * 400))
        assert least[place] * 0.95 <= quantile(outcome, "response", q) <= most[place] * 1.05
    assert quantile(outcome, "response", 1.0) >= 0.95 * STALL_S * 1e6
    assert quantile(outcome, "service", 0.9) < 0.5 * quantile(outcome, "response", 0.9)  # 8 connections hide the rest


def behind(reading: MeterReading) -> int:
    return reading.intended - reading.completed


def expected(due: list[int], from_ns: int, to_ns: int) -> list[float]:
    """The response times in order, in µs, if who was due in this time was answered at its end, and others at once."""
    stalled = sorted((to_ns - at) / 1000 for at in due if from_ns <= at < to_ns)
    return [0.0] * (len(due) - len(stalled)) + stalled


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
