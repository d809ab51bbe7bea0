"""A stall of known length, in response time and in service time, of the open and of the closed model."""

from __future__ import annotations

import time

from app.load.protocol import histogram
from app.load.protocol.meter import MEASURE
from app.load.protocol.outcome import Outcome, Second
from tests.engines.driver import Engine, Variant, running
from tests.load.driver import HELD_S, OPEN, Running, Starter, merged, response, service, sorted_us, until
from tests.measure.conftest import Report

STALL_S = 0.5
STALL_US = STALL_S * 1e6
RATE_PER_S, SECONDS, VUS = 200, 3, 8
DUE_EVERY_NS = 1_000_000_000 // RATE_PER_S


def test_an_open_load_has_the_stall_in_its_response_times_as_arithmetic_says(
    report: Report, start: Starter
) -> None:
    """A request that was due during the stall completes when the engine has resumed and caught up.

    Noise: both bounds are made of the instants at which this test saw the engine stop, go on and catch up, so
    whatever takes long there widens the interval. What a request takes without a stall is taken from the last
    second of the run. The hidden part is a ratio of two clocks of the same requests.
    """
    with running(Variant("reactor")) as engine:
        load = start(
            engine.port, executor=OPEN, rate_per_s=float(RATE_PER_S), vus=VUS, duration_s=float(SECONDS)
        )
        reach_middle(load)
        before_ns = time.monotonic_ns()
        stopped_ns, on_ns = stall(engine)
        load.complete((on_ns - load.meter.read().measured_from_ns) // DUE_EVERY_NS)  # it has caught up
        caught_up_ns = time.monotonic_ns()
        outcome = load.outcome()
    count = RATE_PER_S * SECONDS
    assert outcome.requests == outcome.intended == count
    due = [outcome.measured_from_ns + number * DUE_EVERY_NS for number in range(count)]
    least, most = expected_us(due, stopped_ns, on_ns), expected_us(due, before_ns, caught_up_ns)
    usual_us = histogram.decode(in_the_last_second(outcome).response).get_max_value()
    found = sorted_us(merged(outcome, "response"))
    places = {q: min(count - 1, int(q * count)) for q in (0.9, 0.95, 0.99, 1.0)}
    for q, at in places.items():
        report(
            f"p{100 * q:.0f}: {least[at]:.0f} ≤ {found[at]:.0f} ≤ {most[at]:.0f} µs, "
            f"and without a stall {usual_us}"
        )
    hidden, shown = service(outcome).p90_us, response(outcome).p90_us
    latest_us = histogram.decode(outcome.lateness).get_max_value()
    report(
        f"p90 service {hidden} µs, response {shown} µs; {outcome.waited} waited, "
        f"the others ≤ {latest_us} µs late"
    )
    for at in places.values():
        assert least[at] * 0.95 <= found[at] <= most[at] * 1.05 + usual_us
    assert found[-1] >= 0.95 * STALL_US
    assert hidden is not None and shown is not None
    assert hidden < 0.5 * shown  # the stall is in the service time of 8 requests only, one on each connection
    assert outcome.waited >= 0.8 * STALL_S * RATE_PER_S
    # Lateness is the generator's own fault only, and it did not wait for the engine.
    assert latest_us < 0.5 * STALL_US


def in_the_last_second(outcome: Outcome) -> Second:
    return [second for second in outcome.seconds if second.phase == "measure"][-1]


def test_a_closed_load_hides_the_same_stall(report: Report, start: Starter) -> None:
    """Of some hundreds of requests two meet the stall, and none was due meanwhile.

    Noise: the 95th percentile is asserted as a share of the stall, and the maximum has the stall as its lower
    bound.
    """
    with running(Variant("reactor")) as engine:
        load = start(engine.port, vus=2, think_time_ms=5.0, duration_s=HELD_S)
        reach_middle(load)
        stall(engine)
        load.complete(300)
        outcome = load.stop()
    found = sorted_us(merged(outcome, "response"))
    p95_us = found[int(0.95 * len(found))]
    report(f"{len(found)} requests: p95 {p95_us:.0f} µs, the two highest {found[-2:]}")
    assert found[-1] >= 0.95 * STALL_US
    assert p95_us < 0.2 * STALL_US


def reach_middle(load: Running) -> None:
    load.reach(MEASURE)
    load.complete(100)


def stall(engine: Engine) -> tuple[int, int]:
    """Stop the engine's process for STALL_S. Returns when it had stopped and when it was resumed, in ns."""
    with engine.frozen():
        stopped_ns = time.monotonic_ns()
        until(lambda: time.monotonic_ns() >= stopped_ns + STALL_S * 1e9, "the stall is over")
        on_ns = time.monotonic_ns()
    return stopped_ns, on_ns


def expected_us(due: list[int], from_ns: int, to_ns: int) -> list[float]:
    """Return the response times in order if requests due in the stall complete at its end, others at
    once."""
    stalled = sorted((to_ns - at) / 1000 for at in due if from_ns <= at < to_ns)
    return [0.0] * (len(due) - len(stalled)) + stalled
