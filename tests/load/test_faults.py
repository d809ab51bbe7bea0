"""Servers that answer wrongly, close, refuse or say nothing: each is counted under its own name."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from .driver import ServerMaker, Starter, run_load, service, until
from .server import every_third, ok, plain

pytestmark = pytest.mark.alone


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (ok(status="503 Service Unavailable"), "status_503"),
        (ok(status="201 Created"), "status_201"),
        (ok(b"Hello, World"), "bad_length"),
        (ok(b"Hello, World!") + b"!", "bad_length"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "bad_answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHell", "closed"),
        (b"", "closed"),
    ],
    ids=["503", "201", "short body", "long body", "no length", "endless length", "not HTTP", "cut short", "no answer"],
)
def test_a_wrong_answer_is_an_error(serve: ServerMaker, other: bytes, error: str) -> None:
    server = serve(every_third(other), delay_s=0.002)
    outcome = run_load(server.port)
    assert set(outcome.errors) <= {error, "unasked_bytes"}
    wrong = outcome.errors[error]
    assert wrong == pytest.approx(server.requests / 3, abs=5)
    assert outcome.requests + wrong == outcome.sent == server.requests
    assert outcome.kinds[0].errors[error] == wrong
    assert service(outcome).count == outcome.requests
    assert sum(second.errors for second in outcome.seconds) == sum(outcome.errors.values())


def test_a_right_answer_of_another_length_is_no_error(serve: ServerMaker) -> None:
    server = serve(every_third(ok(more="X-Draining: yes\r\n")), delay_s=0.002)
    outcome = run_load(server.port)
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert outcome.reconnects == 0


def test_connection_close_is_no_error_and_is_counted(serve: ServerMaker) -> None:
    server = serve(every_third(ok(more="Connection: close\r\n")), delay_s=0.002)
    outcome = run_load(server.port)
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert outcome.reconnects == pytest.approx(server.requests / 3, abs=5)
    assert server.accepted == pytest.approx(4 + outcome.reconnects, abs=4)


def test_answers_in_pieces_are_put_together(serve: ServerMaker) -> None:
    def answer(path: str, body: bytes) -> bytes:
        return ok(b"b" * 13 if path == "/" else b"b" * 2_000_000)

    server = serve(answer, delay_s=0.001)
    outcome = run_load(server.port, work=[{"kind": "plaintext"}, {"kind": "bytes", "params": {"n": 2_000_000}}])
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert outcome.bytes_in > 2_000_000 * outcome.kinds[1].requests


def test_no_answer_is_a_timeout(serve: ServerMaker) -> None:
    release = threading.Event()

    def answer(path: str, body: bytes) -> bytes:
        release.wait(10)
        return b""

    server = serve(answer)
    outcome = run_load(server.port, timeout_s=0.3, duration_s=1.0)
    release.set()
    assert set(outcome.errors) == {"timeout"}
    assert outcome.requests == 0
    assert outcome.sent == outcome.errors["timeout"] == server.requests
    assert 4 * 2 <= server.requests <= 4 * 4  # 0.3 s and at most 0.25 s until it is noticed
    assert service(outcome).max_us is None


@pytest.mark.parametrize("manner", [{}, {"churn": True}, {"pipeline": 3}], ids=["keep-alive", "churn", "pipeline"])
def test_what_is_given_up_at_the_end_is_in_flight_no_more(
    serve: ServerMaker, start: Starter, manner: dict[str, object]
) -> None:
    release = threading.Event()

    def answer(path: str, body: bytes) -> bytes:
        release.wait(10)
        return b""

    load = start(serve(answer).port, duration_s=0.1, timeout_s=0.3, **manner)
    outcome, last = load.outcome(), load.meter.read()
    release.set()
    assert set(outcome.errors) == {"timeout"}
    assert (last.in_flight, last.sent) == (0, outcome.errors["timeout"])


@pytest.mark.parametrize("executor", ["constant-vus", "constant-arrival-rate"])
def test_a_refusing_target_is_tried_twenty_times_a_second(executor: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    outcome = run_load(port, executor=executor, rate_per_s=100.0, duration_s=1.0)
    assert set(outcome.errors) == {"connect_refused"}
    assert 5 <= outcome.errors["connect_refused"] <= 4 + 20 * (time.monotonic() - began)
    assert outcome.requests == 0
    assert outcome.utilisation < 0.2
    assert outcome.missing == 4
    if executor == "constant-arrival-rate":
        assert outcome.dropped == outcome.intended == 100


def test_what_the_warm_up_could_not_send_is_not_missing_in_the_measured_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    open_load = {"executor": "constant-arrival-rate", "rate_per_s": 100.0, "timeout_s": 0.2}
    outcome = run_load(port, warmup_s=0.5, duration_s=0.3, **open_load)
    assert (outcome.intended, outcome.dropped, outcome.sent) == (30, 30, 0)


def test_a_server_that_goes_away_and_comes_back_is_used_again(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.002)
    load = start(server.port, duration_s=2.0)
    load.reach(2)
    until(lambda: load.meter.read().completed > 20, "answers")
    server.close()
    until(lambda: load.meter.read().errors > 5, "errors")
    with socket.create_server(("127.0.0.1", server.port)) as again:
        again.settimeout(5)
        peer, _ = again.accept()
        with peer:
            assert peer.recv(100).startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
    outcome = load.outcome()
    assert outcome.errors["connect_refused"] >= 1
    assert outcome.requests > 20


def test_the_idle_crowd_is_proved_once_and_held(serve: ServerMaker) -> None:
    server = serve(plain, delay_s=0.002)
    outcome = run_load(server.port, idle_connections=300)
    assert outcome.idle_connections_held == 300
    assert outcome.connections_peak == 304 == server.accepted
    assert server.requests == outcome.requests + 300
    assert outcome.errors == {}


def test_an_idle_connection_that_is_closed_is_counted(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.002)
    load = start(server.port, idle_connections=20, duration_s=1.0)
    load.reach(2)
    assert load.meter.read().idle_connections == 20
    idle = sorted(server.open, key=lambda sock: sock.getpeername()[1])[-5:]  # the crowd was opened after the active
    for sock in idle:
        sock.shutdown(socket.SHUT_RDWR)
    outcome = load.outcome()
    lost = outcome.errors.get("idle_closed", 0)
    assert lost + outcome.errors.get("closed", 0) + outcome.errors.get("reset", 0) == 5
    assert outcome.idle_connections_held == 20 - lost
    assert lost >= 1


def test_an_idle_crowd_that_is_not_served_is_not_held(serve: ServerMaker) -> None:
    server = serve(every_third(ok(status="503 Service Unavailable")), delay_s=0.002)
    outcome = run_load(server.port, idle_connections=30)
    assert outcome.idle_connections_held == pytest.approx(20, abs=2)
    assert outcome.errors["idle_unserved"] == 30 - outcome.idle_connections_held
    assert outcome.idle_missing == 30 - outcome.idle_connections_held


def test_an_idle_crowd_that_nobody_serves_does_not_keep_the_load_from_opening(serve: ServerMaker) -> None:
    release = threading.Event()

    def answer(path: str, body: bytes) -> bytes:
        if path != "/":
            return ok(more="Connection: close\r\n")
        release.wait(20)  # what the idle ask to prove that they are served
        return b""

    server = serve(answer)
    outcome = run_load(server.port, idle_connections=200, timeout_s=0.3, work=[{"kind": "sleep", "params": {"ms": 1}}])
    release.set()
    assert (outcome.idle_connections_held, outcome.idle_missing, outcome.missing) == (0, 200, 0)
    assert outcome.requests > 4 * 2, "each of the four was opened again, and again"
