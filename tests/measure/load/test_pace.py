"""How soon the generator notices what it must notice, and how often it tries again."""

from __future__ import annotations

import gc
import math
import signal
import time

import pytest

from app.load.protocol import histogram
from app.load.protocol.meter import MEASURE
from app.load.protocol.shard_job import ShardJob
from app.load.shard import Shard
from tests.engines.driver import Variant, running
from tests.load.driver import HELD_S, OPEN, Running, ServerMaker, Starter, job_json, run_load
from tests.load.ports import SOURCES, only_port
from tests.load.server import Gate
from tests.measure.conftest import Report
from tests.waiting import BOUND_S, reserved_port

ROUNDS = 3


def test_a_timeout_is_noticed_within_a_quarter_of_a_second(serve: ServerMaker, report: Report) -> None:
    """Noise: the mean of many timeouts by the generator's clock is asserted, plus 0.1 s for a busy
    machine."""
    with Gate() as gate:
        outcome = run_load(serve(gate).port, timeout_s=0.3, duration_s=1.5)
    mean_s = outcome.in_flight_ns / 1e9 / outcome.sent
    report(f"{outcome.sent} timeouts of 0.3 s, {mean_s:.3f} s in flight each")
    assert set(outcome.errors) == {"timeout"}
    assert 4 * 2 <= outcome.sent <= 4 * 5  # two to five of each connection
    assert mean_s <= 0.3 + 0.25 + 0.1


@pytest.mark.parametrize("executor", ["constant-vus", OPEN])
def test_a_refusing_target_is_tried_twenty_times_per_second_without_spinning(
    executor: str, report: Report
) -> None:
    """Noise: a rate of half as many is enough, and the CPU time is that of the generator itself."""
    with reserved_port() as port:
        outcome = run_load(port, executor=executor, rate_per_s=100.0, duration_s=1.0, timeout_s=1.0)
    refused = sum(second.errors for second in outcome.seconds if second.phase == "measure")
    report(f"{refused} attempts in {outcome.wall_s:.2f} s, {outcome.utilisation:.1%} of a CPU")
    assert 10 <= refused <= 21
    assert outcome.utilisation < 0.2


def test_a_rate_follows_its_ramp_second_by_second(report: Report) -> None:
    """400 requests in the first second, from 200 to 600 per second, and then 100.

    Noise: a second ends with the first look at the clock after it, and what was due by then counts for it.
    How late such a look can be is taken from the same run: the lateness of its sends.
    """
    stages = [
        {"duration_s": 1.0, "target": 600},
        {"duration_s": 0, "target": 100},
        {"duration_s": 1.0, "target": 100},
    ]
    with running(Variant("reactor")) as engine:
        plan = {"executor": "ramping-arrival-rate", "rate_per_s": 200.0, "stages": stages, "vus": 16}
        outcome = run_load(engine.port, **plan)
    measured = [second.intended for second in outcome.seconds if second.phase == "measure"]
    late_s = histogram.decode(outcome.lateness).get_max_value() / 1e6
    near = 2 + math.ceil(600 * late_s)
    report(f"{measured} requests, at most {late_s * 1000:.1f} ms late: ±{near}")
    assert measured == [pytest.approx(400, abs=near), pytest.approx(100, abs=near)]


def test_a_closed_run_ends_in_time(serve: ServerMaker, report: Report) -> None:
    """The loop looks at the clock after at most 50 ms.

    Noise: of rounds the shortest is asserted, since a busy machine can only make them longer.
    """
    port = serve(delay_s=0.005).port
    over_s = [run_load(port, duration_s=0.5).duration_s - 0.5 for _ in range(ROUNDS)]
    report(", ".join(f"{1000 * over:.1f} ms too long" for over in over_s))
    assert 0 <= min(over_s) <= 0.06


def test_a_stop_is_noticed_within_50_ms(serve: ServerMaker, start: Starter, report: Report) -> None:
    """Noise: of rounds the shortest is asserted, since a busy machine can only make them longer."""
    port = serve(delay_s=0.005).port

    def stop() -> float:
        load = running_load(start, port)
        at_ns = time.monotonic_ns()
        load.process.send_signal(signal.SIGTERM)
        return (load.outcome().measured_to_ns - at_ns) / 1e9

    took_s = [stop() for _ in range(ROUNDS)]
    report(", ".join(f"{1000 * each:.1f} ms" for each in took_s))
    assert 0 <= min(took_s) <= 0.06


def test_the_end_of_the_lifeline_ends_it_at_once(serve: ServerMaker, start: Starter, report: Report) -> None:
    """Noise: of rounds the shortest is asserted, since a busy machine can only make them longer."""
    port = serve(delay_s=0.005).port

    def cut() -> float:
        load = running_load(start, port)
        began_s = time.monotonic()
        load.cut_lifeline()
        load.process.wait(BOUND_S)
        return time.monotonic() - began_s

    took_s = [cut() for _ in range(ROUNDS)]
    report(", ".join(f"{1000 * each:.1f} ms" for each in took_s))
    assert min(took_s) <= 0.5


def running_load(start: Starter, port: int) -> Running:
    load = start(port, duration_s=HELD_S, think_time_ms=5.0)
    load.reach(MEASURE)
    load.complete(20)
    return load


def test_ports_in_time_wait_run_out(monkeypatch: pytest.MonkeyPatch, report: Report) -> None:
    """Each source address has one port, so one connection, until that has been in TIME_WAIT for a second.

    Noise: two rates that differ by a factor of hundreds. 64 connections take some 30 ms, and a port in
    TIME_WAIT can be used again after up to a second. The number of attempts is bounded by the time that they
    took.
    """
    with running(Variant("reactor")) as engine, engine.connect() as holder:
        only_port(monkeypatch, holder.sock.getsockname()[1])
        began_s = time.monotonic()
        try:
            outcome = Shard(
                ShardJob.parse(job_json(engine.port, {"churn": True, "vus": 2, "duration_s": 0.5}))
            ).run()
        finally:
            gc.enable()
        took_s = time.monotonic() - began_s
    report(f"{outcome.requests} requests, {dict(outcome.errors)} in {took_s:.2f} s")
    assert outcome.requests >= SOURCES
    assert set(outcome.errors) == {"connect_no_port"}
    # After a success in between, when a port can be used again, both connections are tried at once.
    assert outcome.errors["connect_no_port"] <= 2 + 20 * took_s + 2 * (outcome.requests - SOURCES)
