"""The work kind `http`: what is sent, and which responses are correct."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from app.load.connections.request_kind import RequestKind, build_request, request_kind
from app.load.connections.response_reader import ResponseReader
from app.load.protocol.plan import Work
from tests.load.driver import OPEN, ServerMaker, run_load
from tests.load.server import Handler, ok

HEADERS = {"Accept": "text/html", "X-Id": "a b"}
CLIENTS = [{}, {"churn": True}, {"pipeline": 3}, {"executor": OPEN, "rate_per_s": 200}]


def http(path: str = "/items", **params: Any) -> list[dict[str, Any]]:
    return [{"kind": "http", "params": {"path": path, **params}}]


def alternating(*responses: bytes) -> Handler:
    """Return a handler that gives these responses in turn."""
    order = cycle(responses)
    return lambda *_: next(order)


@pytest.mark.parametrize(
    ("params", "request_bytes"),
    [
        ({}, b"GET /a HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        ({"method": "HEAD"}, b"HEAD /a HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        ({"method": "DELETE"}, b"DELETE /a HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        ({"method": "POST"}, b"POST /a HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"),
        (
            {"method": "PUT", "body": "µ", "headers": HEADERS},
            b"PUT /a HTTP/1.1\r\nHost: h:1\r\nAccept: text/html\r\nX-Id: a b\r\n"
            b"Content-Length: 2\r\n\r\n\xc2\xb5",
        ),
    ],
    ids=["GET", "HEAD", "DELETE", "POST", "PUT"],
)
def test_a_request_is_sent_as_the_plan_has_it(params: dict[str, Any], request_bytes: bytes) -> None:
    assert build_request(Work("http", params={"path": "/a", **params}), "h:1") == request_bytes


def test_a_long_path_is_shortened_in_results() -> None:
    assert Work("http", params={"path": "/a"}).label == "http GET /a"
    label = Work("http", params={"path": f"/{'a' * 500}?page=2", "method": "POST"}).label
    assert len(label) == len("http POST ") + 81 and label.endswith("?page=2") and "…" in label


@pytest.mark.parametrize("client", CLIENTS, ids=["keep-alive", "churn", "pipeline", "open"])
def test_the_length_of_a_response_may_change(serve: ServerMaker, client: dict[str, Any]) -> None:
    # The head of the second one is as long as the first one altogether.
    responses = alternating(ok(b"[]"), ok(b"x" * 100), ok(b""), ok(b"x" * 9000))
    server = serve(responses, delay_s=0.001)
    outcome = run_load(server.port, work=http(), **client)
    assert outcome.errors == {}
    assert outcome.requests == server.requests >= 4
    assert outcome.kinds[0].label == "http GET /items"


@pytest.mark.parametrize(
    ("params", "response"),
    [
        ({"status": 302}, ok(b"", status="302 Found", more="Location: /items\r\n")),
        ({"status": 204, "method": "DELETE"}, b"HTTP/1.1 204 No Content\r\n\r\n"),
        ({"status": 304}, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ({"method": "POST", "body": "a", "status": 201}, ok(b"created", status="201 Created")),
    ],
    ids=["302", "204", "304", "HEAD", "HEAD of a chunked response", "POST"],
)
@pytest.mark.parametrize("client", CLIENTS[:3], ids=["keep-alive", "churn", "pipeline"])
def test_a_response_with_the_expected_status_is_correct(
    serve: ServerMaker, params: dict[str, Any], response: bytes, client: dict[str, Any]
) -> None:
    server = serve(lambda *_: response, delay_s=0.001)
    outcome = run_load(server.port, work=http(**params), **client)
    assert outcome.errors == {}
    assert outcome.requests == server.requests == server.requested["/items"] >= 4
    assert outcome.reconnects == 0


def test_a_redirect_is_an_error_and_is_not_followed(serve: ServerMaker) -> None:
    server = serve(lambda *_: ok(b"", status="302 Found", more="Location: /other\r\n"), delay_s=0.001)
    outcome = run_load(server.port, work=http())
    assert outcome.errors == {"status_302": server.requests}
    assert set(server.requested) == {"/items"}


def record(kind: RequestKind, response: bytes) -> None:
    """Let a kind record a correct response."""
    reader = ResponseReader()
    reader.rule = kind.rule
    assert reader.feed(response) and reader.error is None
    kind.record(reader, 2000, 1000, 1000, 1000)


def test_the_hot_loops_never_take_a_part_of_a_longer_response_for_a_whole_one() -> None:
    kind = request_kind(Work("http", params={"path": "/"}), "h:1", is_open=False)
    short, long = ok(b"[]"), ok(b"x" * 100)
    record(kind, short)
    head = long[: -len(b"x" * 100)]
    assert len(head) == kind.expected_bytes and not head.startswith(kind.expected_prefix)
    assert short.startswith(kind.expected_prefix)


@pytest.mark.parametrize("kind", ["http", "sleep"])
def test_bytes_are_counted_exactly_while_lengths_change(kind: str) -> None:
    params = {"path": "/"} if kind == "http" else {"ms": 1}
    counted = request_kind(Work(kind, params=params), "h:1", is_open=False)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    responses = [chunked, ok(b"[]"), ok(b"x" * 100), chunked, ok(b"x"), ok(b"[]")]
    for response in responses:
        record(counted, response)
    uncounted = len(counted.service_us) * counted.expected_bytes  # the recorder adds this at its next tick
    assert counted.bytes_in + uncounted == sum(map(len, responses))
