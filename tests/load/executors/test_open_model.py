"""The open model against a server whose latency is known."""

from __future__ import annotations

import time
from contextlib import closing
from math import sqrt

import pytest

from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_kind import RequestKind
from app.load.connections.request_mix import RequestMix
from app.load.connections.response_reader import ResponseReader
from app.load.connections.response_rule import ResponseRule
from app.load.executors.dispatcher import Dispatcher
from app.load.executors.open_model import OpenModel
from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.executors.timer import Timer
from app.load.protocol import histogram
from app.load.protocol.histogram import decode
from app.load.protocol.plan import Plan
from app.load.protocol.shard_share import ShardShare
from tests.load.driver import (
    OPEN,
    ServerMaker,
    Starter,
    all_responses,
    lost,
    merged,
    run_load,
    sorted_us,
)
from tests.load.driver import until as until
from tests.load.server import Gate, ok


def test_an_open_load_sends_exactly_what_is_scheduled(serve: ServerMaker) -> None:
    """The last request of a phase is due less than 1 µs before its end: 41 in the warm-up, 121 measured."""
    server = serve(delay_s=0.002)
    outcome = run_load(server.port, executor=OPEN, rate_per_s=400.001, warmup_s=0.1, duration_s=0.3)
    assert outcome.intended == outcome.sent == outcome.requests == 121
    assert server.requests == all_responses(outcome) == 41 + 121
    assert (outcome.dropped, outcome.errors) == (0, {})
    assert [second.intended for second in outcome.seconds if second.phase == "measure"] == [121]
    assert histogram.decode(outcome.lateness).total_count == 121, "also of those that waited for a connection"
    assert outcome.late <= 121 and outcome.waited <= 121
    assert outcome.duration_s == 0.3


def test_an_open_load_that_gets_no_cpu_until_its_phase_is_over_keeps_all_requests_that_were_due() -> None:
    """All requests that were due are sent late, or wait in the backlog."""
    pool = ConnectionPool(("127.0.0.1", 1), timeout_s=5.0)
    with closing(Timer(pool.epoll)) as timer, closing(pool.epoll):
        dispatcher = Dispatcher(pool, timer, is_open=True)
        mix = RequestMix(Plan(executor=OPEN, rate_per_s=100.0), "127.0.0.1:1")
        OpenModel(dispatcher, "constant", ShardShare()).run(mix, Ramp(100.0), 0, 10**9)
    assert dispatcher.intended == dispatcher.waited == 100
    assert [due for due, _, _ in dispatcher.backlog] == [number * 10**7 for number in range(100)]
    assert all(queued > 10**9 for _, queued, _ in dispatcher.backlog), (
        "queued late, which is the generator's own lateness"
    )
    assert len(dispatcher.lateness_us) == dispatcher.late == 100


def test_the_generators_own_lateness_is_not_in_corrected_time() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    is_open, closed = (RequestKind("sleep", "sleep", b"", ResponseRule(), each) for each in (True, False))
    # Due at 1 ms, handled at 3 ms, sent at 4 ms (it waited for a connection), completed at 9 ms.
    for kind in (is_open, closed):
        kind.record(reader, 9_000_000, 4_000_000, 1_000_000, 3_000_000)
    assert (is_open.service_us, is_open.response_us, is_open.corrected_us) == ([5000], [8000], [6000])
    assert closed.corrected_us is closed.response_us is closed.service_us


def test_corrected_time_is_recorded_for_every_request(serve: ServerMaker) -> None:
    outcome = run_load(serve().port, executor=OPEN, rate_per_s=200.0, duration_s=0.5, vus=1)
    (kind,) = outcome.kinds
    service, response, corrected = (decode(text) for text in (kind.service, kind.response, kind.corrected))
    assert corrected.total_count == response.total_count == outcome.requests == 100
    assert service.get_max_value() <= corrected.get_max_value() <= response.get_max_value()
    closed = run_load(serve().port, duration_s=0.1, vus=1)
    assert closed.kinds[0].corrected == closed.kinds[0].service


def test_poisson_spacing_has_the_same_mean_rate(serve: ServerMaker) -> None:
    expected = len(list(Schedule(Ramp(1000.0), "poisson").times(0, int(0.3 * 1e9))))
    assert abs(expected - 300) <= 4 * sqrt(300)
    outcome = run_load(
        serve().port, executor=OPEN, rate_per_s=1000.0, spacing="poisson", duration_s=0.3, vus=16
    )
    assert outcome.intended == outcome.requests == expected


def test_the_response_time_of_an_open_load_contains_the_whole_stall(
    serve: ServerMaker, start: Starter
) -> None:
    """The response time of a request due during the stall is at least the time until its end."""
    with Gate(20) as gate:
        load = start(serve(gate).port, executor=OPEN, rate_per_s=200.0, duration_s=1.0, vus=2)
        until(
            lambda: load.meter.read().intended >= 72,
            "20 have passed, 2 are held, and 50 wait for a connection",
        )
        released_ns = time.monotonic_ns()
        gate.open()
        outcome = load.outcome()
    assert outcome.requests == outcome.sent == outcome.intended == 200
    assert outcome.dropped == 0
    assert 50 <= outcome.waited <= 200
    assert outcome.late <= 200
    due = [outcome.measured_from_ns + number * 5_000_000 for number in range(20, 200)]  # the gate let 20 pass
    at_least_us = [0.0] * 20 + sorted(max(0, released_ns - at) / 1000 for at in due)
    assert at_least_us[-50] > 0
    assert_not_below(sorted_us(merged(outcome, "response")), at_least_us)
    assert_not_below(sorted_us(merged(outcome, "response")), sorted_us(merged(outcome, "service")))


def assert_not_below(found_us: list[float], at_least_us: list[float]) -> None:
    """Each is at least as high as its counterpart, to the resolution of a histogram."""
    assert all(us >= least * 0.999 - 1 for us, least in zip(found_us, at_least_us, strict=True))


@pytest.mark.parametrize("more", ["", "Connection: close\r\n"], ids=["keep-alive", "close"])
def test_a_backlog_is_sent_after_the_end_of_the_schedule(serve: ServerMaker, more: str) -> None:
    """One connection, 20 requests of 20 ms each, due within 100 ms: at most five complete in that time."""
    server = serve(lambda path, body: ok(more=more), delay_s=0.02)
    outcome = run_load(server.port, executor=OPEN, rate_per_s=200.0, vus=1, duration_s=0.1)
    ended_ns = time.monotonic_ns()
    assert outcome.requests == outcome.sent == outcome.intended == 20
    assert (outcome.dropped, outcome.errors) == (0, {})
    assert outcome.duration_s == 0.1
    assert sum(second.requests for second in outcome.seconds if second.phase == "drain") >= 15
    served, responded = sorted_us(merged(outcome, "service")), sorted_us(merged(outcome, "response"))
    assert_not_below(served, [20_000.0] * 20)
    assert_not_below(responded, [20_000.0 + number * 15_000 for number in range(20)])
    # One connection serves one request after the other, so the time that they waited for it is not in service
    # time.
    assert sum(served) * 1000 <= ended_ns - outcome.measured_from_ns


def test_a_request_that_is_never_sent_is_counted_as_dropped(serve: ServerMaker) -> None:
    """One connection sends at most ten requests of 100 ms each in 0.5 s and a drain of 0.3 s."""
    server = serve(delay_s=0.1)
    outcome = run_load(server.port, executor=OPEN, rate_per_s=200.0, vus=1, duration_s=0.5, timeout_s=0.3)
    assert outcome.intended == 100
    assert outcome.dropped >= 89
    assert outcome.sent + outcome.dropped == outcome.intended
    assert outcome.requests + sum(lost(outcome).values()) == outcome.sent
