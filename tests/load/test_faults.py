"""Servers that answer wrongly, close, refuse or are silent: each fault is counted under its own name."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from app.load.protocol.meter import MEASURE
from tests.waiting import BOUND_S, reserved_port

from .driver import HELD_S, OPEN, ServerMaker, Starter, lost, run_load, service, until
from .server import Gate, every_third, ok, plain

# With a timeout of 0.3 s a busy machine may not get a connection opened in time, which has a name of its own.
TIMEOUTS = {"timeout", "connect_timeout"}


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
    ids=[
        "503",
        "201",
        "short body",
        "long body",
        "no length",
        "endless length",
        "not HTTP",
        "cut short",
        "no answer",
    ],
)
def test_a_wrong_answer_is_an_error(serve: ServerMaker, other: bytes, error: str) -> None:
    server = serve(every_third(other), delay_s=0.002)
    outcome = run_load(server.port)
    wrong = server.requests // 3
    assert wrong >= 1
    assert outcome.errors == outcome.kinds[0].errors == {error: wrong}
    assert outcome.requests + wrong == outcome.sent == server.requests
    assert service(outcome).count == outcome.requests
    assert sum(second.errors for second in outcome.seconds) == wrong


def test_a_right_answer_of_another_length_is_no_error(serve: ServerMaker) -> None:
    server = serve(every_third(ok(more="X-Draining: yes\r\n")), delay_s=0.002)
    outcome = run_load(server.port)
    assert outcome.errors == {}
    assert outcome.requests == server.requests >= 4
    assert outcome.reconnects == 0


def test_connection_close_is_no_error_and_is_counted(serve: ServerMaker) -> None:
    server = serve(every_third(ok(more="Connection: close\r\n")), delay_s=0.002)
    outcome = run_load(server.port)
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert outcome.reconnects == server.requests // 3 >= 1
    # The connections that were opened again by the last answers may not have been accepted before the end.
    assert outcome.reconnects <= server.accepted <= 4 + outcome.reconnects


def test_answers_in_pieces_are_put_together(serve: ServerMaker) -> None:
    def answer(path: str, body: bytes) -> bytes:
        return ok(b"b" * 13 if path == "/" else b"b" * 2_000_000)

    server = serve(answer, delay_s=0.001)
    outcome = run_load(
        server.port, work=[{"kind": "plaintext"}, {"kind": "bytes", "params": {"n": 2_000_000}}]
    )
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert [kind.requests for kind in outcome.kinds] == [server.asked["/"], server.asked["/bytes?n=2000000"]]
    assert outcome.kinds[1].requests >= 2
    assert outcome.bytes_in > 2_000_000 * outcome.kinds[1].requests


def test_no_answer_is_a_timeout(serve: ServerMaker) -> None:
    with Gate() as gate:
        server = serve(gate)
        outcome = run_load(server.port, timeout_s=0.3, duration_s=0.5)
        assert set(outcome.errors) <= TIMEOUTS
        assert outcome.requests == 0
        assert service(outcome).max_us is None
        assert outcome.sent == lost(outcome)["timeout"] <= 4 * 2  # a timeout is never too early
        until(lambda: server.requests == outcome.sent, "the server has read what was sent")


def test_a_connection_that_timed_out_is_opened_and_used_again(serve: ServerMaker, start: Starter) -> None:
    with Gate() as gate:
        server = serve(gate)
        load = start(server.port, timeout_s=0.3, duration_s=HELD_S)
        until(lambda: server.requests >= 12, "three rounds of requests")
        outcome = load.stop()
        assert set(outcome.errors) <= TIMEOUTS
        assert outcome.sent == lost(outcome)["timeout"] >= 8
        until(lambda: server.requests == outcome.sent + load.unanswered, "the server has read what was sent")
        assert server.accepted >= 12
    in_time = sum(second.errors for second in outcome.seconds if second.phase == "measure")
    assert in_time <= 4 * outcome.duration_s / 0.3  # no connection is given up earlier
    assert outcome.in_flight_ns >= 0.3e9 * (in_time - outcome.errors.get("connect_timeout", 0))


@pytest.mark.parametrize(
    "manner", [{}, {"churn": True}, {"pipeline": 3}], ids=["keep-alive", "churn", "pipeline"]
)
def test_what_is_given_up_at_the_end_is_in_flight_no_more(
    serve: ServerMaker, start: Starter, manner: dict[str, Any]
) -> None:
    with Gate() as gate:
        load = start(serve(gate).port, duration_s=0.1, timeout_s=0.3, **manner)
        outcome, last = load.outcome(), load.meter.read()
    assert set(outcome.errors) <= TIMEOUTS
    assert (last.in_flight, last.sent) == (0, sum(lost(outcome).values()))
    assert lost(outcome)["timeout"] > 0


@pytest.mark.parametrize(
    ("plan", "at_least"),
    # The load begins without connections after ten refusals, or when none was opened within the timeout.
    [({}, 10), ({"executor": OPEN, "rate_per_s": 100.0, "timeout_s": 0.5}, 1)],
    ids=["closed", "open"],
)
def test_a_refusing_target_is_tried_at_most_twenty_times_per_second(
    plan: dict[str, Any], at_least: int
) -> None:
    began_s = time.monotonic()
    with reserved_port() as port:
        outcome = run_load(port, duration_s=0.3, **plan)
    took_s = time.monotonic() - began_s
    assert set(outcome.errors) == {"connect_refused"}
    # All four connections at once, then one attempt every 50 ms.
    assert at_least <= outcome.errors["connect_refused"] <= 4 + 20 * took_s + 1
    assert outcome.requests == 0
    assert outcome.missing == 4
    if "executor" in plan:
        assert outcome.dropped == outcome.intended == 30


def test_what_the_warm_up_could_not_send_is_not_dropped_from_the_measured_time() -> None:
    with reserved_port() as port:
        outcome = run_load(port, executor=OPEN, rate_per_s=100.0, warmup_s=0.3, duration_s=0.2, timeout_s=0.2)
    assert (outcome.intended, outcome.dropped, outcome.sent) == (20, 20, 0)


def test_a_server_that_goes_away_and_comes_back_is_used_again(serve: ServerMaker, start: Starter) -> None:
    with reserved_port() as port:
        server = serve(delay_s=0.002, port=port)
        load = start(port, duration_s=HELD_S)
        load.complete(20)
        server.close()
        until(lambda: load.meter.read().errors > 5, "errors")
        with socket.create_server(("127.0.0.1", port)) as again:
            again.settimeout(BOUND_S)
            connection, _ = again.accept()
            with connection:
                connection.settimeout(BOUND_S)
                assert connection.recv(100).startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
        outcome = load.stop()
    assert outcome.errors["connect_refused"] >= 1
    assert outcome.requests >= 20


def test_the_idle_crowd_is_proved_once_and_held(serve: ServerMaker) -> None:
    server = serve(plain, delay_s=0.002)
    outcome = run_load(server.port, idle_connections=150)  # more than the generator opens at once
    assert outcome.idle_connections_held == 150
    assert outcome.connections_peak == 154 == server.accepted
    assert server.requests == outcome.requests + 150
    assert (outcome.errors, outcome.missing, outcome.idle_missing) == ({}, 0, 0)


def test_an_idle_connection_that_is_closed_is_counted(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.002)
    active = [{"kind": "sleep", "params": {"ms": 1}}]  # so that "/" is asked by the idle connections only
    load = start(server.port, idle_connections=20, work=active, think_time_ms=5.0, duration_s=HELD_S)
    load.reach(MEASURE)
    assert load.meter.read().idle_connections == 20
    for sock in server.connections("/")[:5]:
        sock.shutdown(socket.SHUT_RDWR)
    until(lambda: load.meter.read().idle_connections == 15, "five are seen to be closed")
    outcome = load.stop()
    assert outcome.errors == {"idle_closed": 5}
    assert outcome.idle_connections_held == 15


def test_an_idle_crowd_that_is_not_served_is_not_held(serve: ServerMaker) -> None:
    """Every third answer is a refusal, and idle connections ask before the load begins, once each."""
    server = serve(every_third(ok(status="503 Service Unavailable")), delay_s=0.002)
    outcome = run_load(server.port, idle_connections=30)
    assert outcome.idle_connections_held == 20
    assert outcome.errors["idle_unserved"] == outcome.idle_missing == 10


def test_an_unserved_idle_crowd_does_not_keep_the_load_from_opening(
    serve: ServerMaker, start: Starter
) -> None:
    """No idle connection is answered, so the slots for opening one stay taken; the active ones reconnect each time."""
    with Gate() as gate:

        def answer(path: str, body: bytes) -> bytes:
            return gate(path, body) if path == "/" else ok(more="Connection: close\r\n")

        server = serve(answer)
        work = [{"kind": "sleep", "params": {"ms": 1}}]
        load = start(server.port, idle_connections=200, timeout_s=0.3, work=work, duration_s=HELD_S)
        load.complete(9)
        outcome = load.stop()
    assert (outcome.idle_connections_held, outcome.idle_missing) == (0, 200)
    assert outcome.requests >= 9, "each of the four was opened again, and again"
    assert outcome.reconnects >= 9
