"""The two models of load against a server whose latency is known."""

from __future__ import annotations

import statistics
import threading
import time

import pytest

from app.load import histogram

from .driver import ServerMaker, response, run_load, service
from .server import Answer, Server, ok, plain

pytestmark = pytest.mark.alone

OPEN = "constant-arrival-rate"


def is_latency_of(server: Server, p50_us: float | None) -> bool:
    """Within 2 % or 300 µs of what the server took by its own clock (a sleep is never exact), plus the way there."""
    assert p50_us is not None
    known_us = statistics.median(server.took_us)
    return known_us * 0.98 <= p50_us <= known_us + max(0.02 * known_us, 300.0) + 200.0


def test_closed_load_counts_what_the_server_counts(serve: ServerMaker) -> None:
    server = serve(delay_s=0.005)
    outcome = run_load(server.port, warmup_s=0.2)
    assert sum(second.requests for second in outcome.seconds) == server.requests
    assert outcome.requests == outcome.sent > 20
    assert outcome.errors == {}
    assert service(outcome).count == outcome.requests
    assert outcome.connections_peak == server.accepted == 4


def test_warm_up_is_not_in_the_result(serve: ServerMaker) -> None:
    server = serve(delay_s=0.005)
    outcome = run_load(server.port, warmup_s=0.5)
    warm = sum(second.requests for second in outcome.seconds if second.phase == "warmup")
    assert warm > 10
    assert outcome.requests <= server.requests - warm + 4


def test_service_time_is_the_servers_latency(serve: ServerMaker) -> None:
    server = serve(delay_s=0.02)
    outcome = run_load(server.port, duration_s=1.0)
    assert is_latency_of(server, service(outcome).p50_us)
    assert outcome.in_flight_ns / 1e9 / outcome.wall_s == pytest.approx(4, rel=0.02)


def test_think_time_is_kept_between_requests(serve: ServerMaker) -> None:
    server = serve(delay_s=0.005)
    outcome = run_load(server.port, think_time_ms=20.0, duration_s=1.0)
    pause_ns = (
        4 * outcome.wall_s * 1e9 - outcome.in_flight_ns
    ) / outcome.requests  # of 4 connections, without a request
    assert 20e6 * (1 - 4 / outcome.requests) <= pause_ns <= 20e6 * 2
    assert is_latency_of(server, service(outcome).p50_us)


def test_open_load_keeps_its_rate_and_counts_what_the_server_counts(serve: ServerMaker) -> None:
    server = serve(delay_s=0.002)
    outcome = run_load(server.port, executor=OPEN, rate_per_s=400.0, warmup_s=0.25, duration_s=1.0)
    assert outcome.intended == outcome.sent == outcome.requests == pytest.approx(400, abs=1)
    assert server.requests == pytest.approx(500, abs=2)
    assert outcome.dropped == 0
    assert is_latency_of(server, service(outcome).p50_us)
    assert [second.intended for second in outcome.seconds if second.phase == "measure"] == [outcome.intended]


def test_poisson_spacing_has_the_same_mean_rate(serve: ServerMaker) -> None:
    outcome = run_load(serve().port, executor=OPEN, rate_per_s=1000.0, spacing="poisson", duration_s=1.0, vus=16)
    assert outcome.intended == pytest.approx(1000, abs=130)  # four standard deviations


def stalling(after: int, for_s: float) -> Answer:
    """An answer that, once, keeps every caller waiting."""
    lock, seen = threading.Lock(), iter(range(10**9))

    def answer(path: str, body: bytes) -> bytes:
        with lock:
            if next(seen) == after:
                time.sleep(for_s)
        return ok()

    return answer


def test_a_stall_shows_in_response_time_of_the_open_model(serve: ServerMaker) -> None:
    server = serve(stalling(after=50, for_s=0.5))
    outcome = run_load(server.port, executor=OPEN, rate_per_s=200.0, duration_s=1.5, vus=2)
    assert service(outcome).p50_us < 20_000  # type: ignore[operator]
    assert service(outcome).p90_us < 20_000  # type: ignore[operator]
    assert response(outcome).p90_us > 200_000  # type: ignore[operator]
    assert 480_000 < response(outcome).max_us < 800_000  # type: ignore[operator]
    assert outcome.requests == outcome.intended == 300
    assert outcome.waited >= 90
    assert outcome.late < outcome.waited  # the generator's own fault, and only that


def test_a_closed_model_does_not_see_the_stall(serve: ServerMaker) -> None:
    server = serve(stalling(after=50, for_s=0.5))
    outcome = run_load(server.port, think_time_ms=5.0, duration_s=1.5, vus=2)
    assert response(outcome).p90_us < 20_000  # type: ignore[operator]
    assert outcome.kinds[0].response == outcome.kinds[0].service


def test_what_is_never_sent_is_dropped_not_forgotten(serve: ServerMaker) -> None:
    server = serve(delay_s=0.1)
    outcome = run_load(server.port, executor=OPEN, rate_per_s=200.0, vus=1, timeout_s=0.3)
    assert outcome.intended == 100
    assert outcome.dropped > 80
    assert outcome.sent + outcome.dropped == outcome.intended
    assert outcome.requests + sum(outcome.errors.values()) == outcome.sent
    assert outcome.seconds[-1].phase == "drain"


def test_the_work_mix_keeps_its_shares(serve: ServerMaker) -> None:
    server = serve(plain, delay_s=0.001)
    work = [
        {"kind": "plaintext", "weight": 30},
        {"kind": "echo", "weight": 10, "params": {"n": 100}},
        {"kind": "bytes", "weight": 20, "params": {"n": 300_000}},
    ]
    outcome = run_load(server.port, work=work)
    assert outcome.errors == {}
    plaintext, echo, large = (kind.requests for kind in outcome.kinds)
    assert abs(plaintext - 3 * echo) <= 6 + 3 * 4  # one round, and what was in flight
    assert abs(large - 2 * echo) <= 6 + 2 * 4
    assert (server.asked["/"], server.asked["/echo"], server.asked["/bytes?n=300000"]) == (plaintext, echo, large)
    assert [kind.label for kind in outcome.kinds] == ["plaintext", "echo n=100", "bytes n=300000"]
    assert histogram.decode(outcome.kinds[1].service).total_count == echo


def test_a_request_larger_than_the_socket_buffer_is_sent_whole(serve: ServerMaker) -> None:
    server = serve(delay_s=0.001)
    outcome = run_load(server.port, work=[{"kind": "echo", "params": {"n": 1_000_000}}], vus=2)
    assert outcome.errors == {}
    assert outcome.requests == server.requests > 5
    assert outcome.bytes_out > outcome.requests * 1_000_000
