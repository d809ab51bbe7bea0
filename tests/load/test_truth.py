"""Latency truth, as far as logic guarantees it: the generator's times contain those of the server's own clock.

How close they are is measured in tests/measure/load.
"""

from __future__ import annotations

import time
from collections import defaultdict

from app.load.protocol import histogram

from .driver import HELD_S, OPEN, ServerMaker, Starter, run_load, sorted_us
from .server import ok


def test_no_kind_is_faster_than_by_the_servers_own_clock(serve: ServerMaker) -> None:
    """Both read the same clock, and the generator reads it before the request arrives and after the answer was sent."""
    took: defaultdict[str, list[float]] = defaultdict(list)

    def answer(path: str, body: bytes) -> bytes:
        began_s = time.monotonic()
        time.sleep(int(path.partition("=")[2] or 0) / 1000)
        took[path].append((time.monotonic() - began_s) * 1e6)
        return ok()

    work = [{"kind": "plaintext"}, *({"kind": "sleep", "params": {"ms": ms}} for ms in (20, 80))]
    outcome = run_load(serve(answer).port, executor=OPEN, rate_per_s=200.0, vus=24, duration_s=0.3, work=work)
    assert outcome.errors == {}
    for kind, path in zip(outcome.kinds, ("/", "/sleep?ms=20", "/sleep?ms=80"), strict=True):
        assert len(took[path]) == kind.requests == 20
        for clock in (kind.service, kind.response):
            found = sorted_us(histogram.decode(clock))
            assert all(us >= known * 0.999 - 2 for us, known in zip(found, sorted(took[path]), strict=True))


def test_time_in_flight_is_that_of_the_answered_requests_and_of_those_in_flight(
    serve: ServerMaker, start: Starter
) -> None:
    """A closed load has at most one request in flight on each connection, for as long as it measures."""
    load = start(serve(delay_s=0.01).port, duration_s=HELD_S)
    load.complete(40)
    outcome = load.stop()
    in_time = [second for second in outcome.seconds if second.phase == "measure"]
    answered_us = sum(sum(sorted_us(histogram.decode(second.service))) for second in in_time)
    assert answered_us >= 40 * 10_000 * 0.999
    # The generator cuts off fractions of a µs and adds half of one for each request.
    most_ns = 4 * outcome.duration_s * 1e9 + 500 * outcome.requests
    assert answered_us * 1000 <= outcome.in_flight_ns <= most_ns
