"""The closed model against a server whose latency is known."""

from __future__ import annotations

import time

from tests.load.driver import (
    HELD_S,
    ServerMaker,
    Starter,
    all_responses,
    merged,
    run_load,
    service,
    sorted_us,
)
from tests.load.driver import until as until
from tests.load.server import Gate


def test_a_closed_load_counts_what_the_server_counts(serve: ServerMaker) -> None:
    server = serve(delay_s=0.005)
    outcome = run_load(server.port, warmup_s=0.1)
    assert all_responses(outcome) == server.requests >= 4
    assert outcome.requests == outcome.sent == service(outcome).count
    assert outcome.errors == {}
    assert outcome.connections_peak == server.accepted == 4


def test_warm_up_is_not_in_the_result(serve: ServerMaker) -> None:
    server = serve(delay_s=0.005)
    outcome = run_load(server.port, warmup_s=0.2)
    warm = sum(second.requests for second in outcome.seconds if second.phase == "warmup")
    assert all_responses(outcome) == server.requests
    # The warm-up sends four requests at once; up to four of its requests are in flight when it ends.
    assert server.requests - warm - 4 <= outcome.requests <= server.requests - max(warm, 4)


def test_think_time_is_kept_between_requests(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.005)
    load = start(server.port, think_time_ms=20.0, duration_s=HELD_S)
    load.complete(40)
    outcome = load.stop()
    assert outcome.errors == {}
    # The time of the four connections without a request; the first request of each need not wait.
    pauses_ns = 4 * outcome.wall_s * 1e9 - outcome.in_flight_ns
    assert pauses_ns >= (outcome.requests - 4) * 20e6 * 0.999


def test_the_response_time_of_a_closed_load_is_its_service_time(serve: ServerMaker, start: Starter) -> None:
    """A stall is in one response per connection, and requests that it delays are not counted."""
    with Gate(20) as gate:
        server = serve(gate)
        load = start(server.port, think_time_ms=1.0, duration_s=HELD_S, vus=2)
        until(lambda: server.requests == 22, "both connections wait")
        stalled_ns = time.monotonic_ns()
        until(
            lambda: load.meter.read().at_ns - stalled_ns >= 100_000_000, "the generator has waited for 100 ms"
        )
        assert load.meter.read().sent == 22
        gate.open()
        load.complete(40)
        outcome = load.stop()
    assert outcome.kinds[0].response == outcome.kinds[0].service
    assert sorted_us(merged(outcome, "service"))[-2] >= 100_000 * 0.999
