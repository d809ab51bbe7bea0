"""Wrong, unusual and missing responses: each error is counted under its own name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.driver import HELD_S, OPEN, ServerMaker, Starter, lost, run_load, service, until
from tests.load.server import Gate, Handler, every_third, ok

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO_CHUNKED = CHUNKED + b"7\r\nHello, \r\n6;last\r\nWorld!\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

# With a timeout of 0.3 s a busy machine may not get a connection opened in time, which is a different error.
TIMEOUTS = {"timeout", "connect_timeout"}


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (ok(status="503 Service Unavailable"), "status_503"),
        (ok(status="201 Created"), "status_201"),
        (ok(b"Hello, World"), "bad_length"),
        (ok(b"Hello, World!") + b"!", "bad_length"),
        (ok(b"Hello, Wxrld!"), "bad_body"),
        (ok(b"hello, World!", more="X-Other: head\r\n"), "bad_body"),
        (CHUNKED + b"d\r\nHello, world!\r\n0\r\n\r\n", "bad_body"),
        (ok(b"", status="302 Found", more="Location: /\r\n"), "status_302"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status_204"),
        (CHUNKED + b"d\r\nHello, World!\r\nx\r\n", "bad_answer"),
        (CHUNKED + b"4\r\nHell\r\n0\r\n\r\n", "bad_length"),
        (CLOSING + b"Hell", "bad_length"),
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
        "wrong body",
        "wrong body and other head",
        "wrong chunked body",
        "302",
        "204",
        "bad chunk",
        "short chunked body",
        "short body without length",
        "endless length",
        "not HTTP",
        "cut short",
        "no response",
    ],
)
def test_a_wrong_response_is_an_error(serve: ServerMaker, other: bytes, error: str) -> None:
    server = serve(every_third(other), delay_s=0.002)
    outcome = run_load(server.port)
    wrong = server.requests // 3
    assert wrong >= 1
    assert outcome.errors == outcome.kinds[0].errors == {error: wrong}
    assert outcome.requests + wrong == outcome.sent == server.requests
    assert service(outcome).count == outcome.requests
    assert sum(second.errors for second in outcome.seconds) == wrong


@pytest.mark.parametrize("client", [{"churn": True}, {"pipeline": 3}, {"executor": OPEN, "rate_per_s": 200}])
def test_a_wrong_body_is_an_error_of_every_client(serve: ServerMaker, client: dict[str, Any]) -> None:
    server = serve(every_third(ok(b"Hello, Wxrld!")), delay_s=0.002)
    outcome = run_load(server.port, **client)
    assert outcome.errors == {"bad_body": server.requests // 3}
    assert outcome.requests == server.requests - server.requests // 3


def test_a_body_that_ends_with_the_connection_is_one_response_of_a_pipeline(serve: ServerMaker) -> None:
    server = serve(lambda *_: CLOSING + b"Hello, World!", delay_s=0.002)
    outcome = run_load(server.port, pipeline=3)
    assert set(outcome.errors) == {"closed"}
    assert outcome.requests == server.requests >= 4


def test_a_correct_response_of_another_length_is_no_error(serve: ServerMaker) -> None:
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
    # The connections that were opened again after the last responses may not have been accepted before the
    # end.
    assert outcome.reconnects <= server.accepted <= 4 + outcome.reconnects


@pytest.mark.parametrize("client", [{}, {"churn": True}], ids=["keep-alive", "churn"])
def test_a_body_that_ends_with_the_connection_is_no_error(serve: ServerMaker, client: dict[str, Any]) -> None:
    server = serve(every_third(CLOSING + b"Hello, World!"), delay_s=0.002)
    outcome = run_load(server.port, **client)
    assert outcome.errors == {}
    assert outcome.requests == server.requests >= 4


@pytest.mark.parametrize(
    "client", [{}, {"churn": True}, {"pipeline": 3}], ids=["keep-alive", "churn", "pipeline"]
)
@pytest.mark.parametrize(
    "handler", [lambda *_: HELLO_CHUNKED, every_third(HELLO_CHUNKED)], ids=["all", "some"]
)
def test_a_chunked_response_is_no_error(serve: ServerMaker, client: dict[str, Any], handler: Handler) -> None:
    server = serve(handler, delay_s=0.002)
    outcome = run_load(server.port, **client)
    assert outcome.errors == {}
    assert outcome.requests == server.requests >= 4
    assert outcome.reconnects == 0


def test_a_response_in_pieces_is_one_response(serve: ServerMaker) -> None:
    def handler(path: str, body: bytes) -> bytes:
        return ok() if path == "/" else ok(b"x" * 2_000_000)

    server = serve(handler, delay_s=0.001)
    outcome = run_load(
        server.port, work=[{"kind": "plaintext"}, {"kind": "bytes", "params": {"n": 2_000_000}}]
    )
    assert outcome.errors == {}
    assert outcome.requests == server.requests
    assert [kind.requests for kind in outcome.kinds] == [
        server.requested["/"],
        server.requested["/bytes?n=2000000"],
    ]
    assert outcome.kinds[1].requests >= 2
    assert outcome.bytes_in > 2_000_000 * outcome.kinds[1].requests


def test_no_response_is_a_timeout(serve: ServerMaker) -> None:
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
    "client", [{}, {"churn": True}, {"pipeline": 3}], ids=["keep-alive", "churn", "pipeline"]
)
def test_a_request_that_is_abandoned_at_the_end_is_no_longer_in_flight(
    serve: ServerMaker, start: Starter, client: dict[str, Any]
) -> None:
    with Gate() as gate:
        load = start(serve(gate).port, duration_s=0.1, timeout_s=0.3, **client)
        outcome, last = load.outcome(), load.meter.read()
    assert set(outcome.errors) <= TIMEOUTS
    assert (last.in_flight, last.sent) == (0, sum(lost(outcome).values()))
    assert lost(outcome)["timeout"] > 0
