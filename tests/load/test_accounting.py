"""The generator's counts and times agree with those of the server."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest

from app.load.protocol import histogram
from tests.engines.driver import Variant, running
from tests.load.driver import (
    HELD_S,
    OPEN,
    ServerMaker,
    Starter,
    all_responses,
    run_load,
    service,
    sorted_us,
    until,
)
from tests.load.server import ok

REACTOR = Variant("reactor")


RATE = {"executor": OPEN, "rate_per_s": 300.0}


MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "bytes", "params": {"n": 100_000}}]


@pytest.mark.parametrize(
    ("plan", "at_least"),
    [
        ({}, 4),
        ({"work": MIX, "think_time_ms": 1.0}, 0),
        ({**RATE, "spacing": "poisson"}, 60),
        (
            {
                "executor": "ramping-vus",
                "vus": 1,
                "stages": [{"duration_s": 0.2, "target": 9}, {"duration_s": 0.1, "target": 2}],
            },
            1,
        ),
        ({**RATE, "executor": "ramping-arrival-rate", "stages": [{"duration_s": 0.3, "target": 700}]}, 180),
        ({"churn": True, "vus": 8}, 8),
        ({"churn": True, **RATE}, 120),
        ({"pipeline": 8, "work": MIX}, 32),
        ({"idle_connections": 100}, 104),
        ({"slow_readers": 3, "slow_writers": 3, "think_time_ms": 1.0}, 3 * 32 + 3),
    ],
    ids=[
        "closed",
        "mix",
        "open",
        "ramping vus",
        "ramping rate",
        "churn",
        "open churn",
        "pipeline",
        "idle",
        "slow",
    ],
)
def test_the_generator_and_the_engines_board_count_the_same(plan: dict[str, Any], at_least: int) -> None:
    """`at_least`: requests that are sent on any machine, by the schedule or by each connection at the start.

    A slow reader sends 32 requests in one batch and a slow writer one; both complete them when the load ends.
    """
    with running(REACTOR) as engine:
        outcome = run_load(engine.port, **{"warmup_s": 0.1, "duration_s": 0.3, **plan})
        assert outcome.errors == {}
        assert all_responses(outcome) >= at_least
        assert service(outcome).count == outcome.requests == outcome.sent
        # The engine counts a request on its board after it has sent the response.
        until(
            lambda: engine.board().requests >= all_responses(outcome), "the engine has counted all requests"
        )
        assert engine.board().requests == all_responses(outcome)
        served = outcome.per_connection
        assert (served is None) == (plan.get("churn", False) or plan.get("executor") == "ramping-vus")
        if served:
            in_time = sum(second.requests for second in outcome.seconds if second.phase == "measure")
            assert (served.connections, served.total) == (plan.get("vus", 4), in_time)


def test_a_connection_without_a_free_thread_has_no_request(start: Starter) -> None:
    """At its limit of threads `blocking` does not accept; the kernel still completes the handshake."""
    with running(Variant("blocking", (("max_threads", 4),)).patient()) as engine:
        load = start(engine.port, vus=16, duration_s=HELD_S)
        load.complete(400)
        served = load.stop().per_connection
        assert served and served.jain is not None
        assert (served.connections, served.minimum) == (16, 0)
        assert 1 / 16 <= served.jain <= 4 / 16 + 1e-9, "at most four are served"


def test_no_latency_is_shorter_than_by_the_servers_own_clock(serve: ServerMaker) -> None:
    """Both read the same clock: the generator before the server has the request and after it has replied."""
    took: defaultdict[str, list[float]] = defaultdict(list)

    def handler(path: str, body: bytes) -> bytes:
        began_s = time.monotonic()
        time.sleep(int(path.partition("=")[2] or 0) / 1000)
        took[path].append((time.monotonic() - began_s) * 1e6)
        return ok()

    work = [{"kind": "plaintext"}, *({"kind": "sleep", "params": {"ms": ms}} for ms in (20, 80))]
    outcome = run_load(
        serve(handler).port, executor=OPEN, rate_per_s=200.0, vus=24, duration_s=0.3, work=work
    )
    assert outcome.errors == {}
    for kind, path in zip(outcome.kinds, ("/", "/sleep?ms=20", "/sleep?ms=80"), strict=True):
        assert len(took[path]) == kind.requests == 20
        for clock in (kind.service, kind.response):
            found = sorted_us(histogram.decode(clock))
            assert all(us >= known * 0.999 - 2 for us, known in zip(found, sorted(took[path]), strict=True))


def test_time_in_flight_is_that_of_completed_requests_and_of_those_in_flight(
    serve: ServerMaker, start: Starter
) -> None:
    """A closed load has at most one request in flight on each connection, for as long as it measures."""
    load = start(serve(delay_s=0.01).port, duration_s=HELD_S)
    load.complete(40)
    outcome = load.stop()
    in_time = [second for second in outcome.seconds if second.phase == "measure"]
    completed_us = sum(sum(sorted_us(histogram.decode(second.service))) for second in in_time)
    assert completed_us >= 40 * 10_000 * 0.999
    # The generator cuts off fractions of a µs and adds half of one for each request.
    most_ns = 4 * outcome.duration_s * 1e9 + 500 * outcome.requests
    assert completed_us * 1000 <= outcome.in_flight_ns <= most_ns
