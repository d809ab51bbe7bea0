"""Latency truth: the generator's times are those of the server's own clock, and obey Little's law."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any

import pytest

from app.load.protocol import histogram
from app.results.summary import little_residual
from tests.engines.driver import Variant, running
from tests.load.driver import OPEN, ServerMaker, run_load, sorted_us
from tests.load.server import ok
from tests.measure.conftest import Report

SLEEPS = (20, 80)
ROUNDS = 3


@pytest.mark.parametrize(
    "plan",
    [{"vus": 8}, {"vus": 8, "think_time_ms": 10.0}, {"executor": OPEN, "rate_per_s": 200.0, "vus": 48}],
    ids=["closed", "thinking", "open"],
)
def test_service_time_is_the_latency_by_the_servers_own_clock(
    serve: ServerMaker, report: Report, plan: dict[str, Any]
) -> None:
    """Each kind's quantiles are within 2 % or 100 µs of the server's, plus the way there and back.

    Noise: the known latency is what the server's clock says of the same requests, so a late wake-up of the
    server is in both. What the way takes is measured in the same run, by a kind that takes no time in the
    server.
    """
    took: defaultdict[str, list[float]] = defaultdict(list)

    def handler(path: str, body: bytes) -> bytes:
        began_s = time.monotonic()
        time.sleep(int(path.partition("=")[2] or 0) / 1000)
        took[path].append((time.monotonic() - began_s) * 1e6)
        return ok()

    work = [{"kind": "plaintext"}, *({"kind": "sleep", "params": {"ms": ms}} for ms in SLEEPS)]
    outcome = run_load(serve(handler).port, duration_s=1.5, work=work, **plan)
    assert outcome.errors == {}
    way_us, *slept_us = (sorted_us(histogram.decode(kind.service)) for kind in outcome.kinds)
    more_us = {0.5: at(way_us, 0.9), 0.9: way_us[-1]}
    for ms, found_us in zip(SLEEPS, slept_us, strict=True):
        known_us = sorted(took[f"/sleep?ms={ms}"])
        assert len(found_us) == len(known_us)
        for q, more in more_us.items():
            known, found = at(known_us, q), at(found_us, q)
            report(f"{ms} ms, p{100 * q:.0f}: server {known:.0f} µs, generator {found:.0f}, way ≤ {more:.0f}")
            assert known * 0.98 - 100 <= found <= known * 1.02 + 100 + more


def at(sorted_values: list[float], q: float) -> float:
    return sorted_values[int(q * len(sorted_values))]


def test_a_closed_load_without_think_time_keeps_every_connection_busy(
    serve: ServerMaker, report: Report
) -> None:
    """The mean number of requests in flight is that of the connections, within 2 %.

    Noise: a connection is busy from the send to the next send, whatever happens in between, so a slow machine
    changes the number of requests and not the ratio.
    """
    outcome = run_load(serve(delay_s=0.02).port, duration_s=1.0)
    in_flight = outcome.in_flight_ns / 1e9 / outcome.wall_s
    report(f"{in_flight:.3f} of 4 in flight")
    assert in_flight == pytest.approx(4, rel=0.02)


def test_the_pause_between_requests_grows_by_the_think_time(serve: ServerMaker, report: Report) -> None:
    """100 ms more think time makes each pause 100 ms longer, within 10 %.

    Noise: only the difference of two runs is asserted, so that late wake-ups, which are in both, cancel out.
    A busy machine can only make pauses longer, so the shortest of three alternated rounds is taken on each
    side.
    """

    def pause_ms(think_ms: float) -> float:
        outcome = run_load(serve(delay_s=0.005).port, think_time_ms=think_ms, duration_s=1.0)
        return (4 * outcome.wall_s * 1e9 - outcome.in_flight_ns) / outcome.requests / 1e6

    pairs = [(pause_ms(20.0), pause_ms(120.0)) for _ in range(ROUNDS)]
    report(", ".join(f"{short:.1f} → {long:.1f} ms" for short, long in pairs))
    short, long = (min(pauses) for pauses in zip(*pairs, strict=True))
    assert long - short == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("plan", [{"vus": 8}, {"vus": 8, "think_time_ms": 3.0}], ids=["closed", "thinking"])
def test_littles_law_holds_while_nothing_is_saturated(report: Report, plan: dict[str, Any]) -> None:
    """Requests in flight are rate times service time, within 3 %.

    Noise: both sides of the equation are of the same run, so a slow machine changes both; and of rounds the
    median.
    """
    residuals = []
    with running(Variant("blocking")) as engine:
        for _ in range(ROUNDS):
            work = [{"kind": "sleep", "params": {"ms": 5}}]
            residual = little_residual(run_load(engine.port, work=work, duration_s=1.0, warmup_s=0.2, **plan))
            assert residual is not None
            residuals.append(residual)
    report(", ".join(f"{residual:+.2%}" for residual in residuals))
    assert abs(statistics.median(residuals)) <= 0.03
