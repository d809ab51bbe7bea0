"""`RequestParser`: the same bytes are the same requests however they are split, and its memory is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.common.http.body_budget import BODIES, BodyBudget
from engines.common.http.limits import BODY_LIMIT, HEADER_COUNT_LIMIT, REQUEST_LINE_LIMIT
from engines.common.http.request_parser import RequestParser
from engines.common.http.requests import Request
from tests.engines.malformed import ACCEPTED, LIMITS, MALFORMED, Accepted, Malformed

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"


@dataclass(frozen=True)
class Sent:
    """A valid request as bytes, and the expected result."""

    data: bytes
    method: bytes
    target: bytes
    body: bytes
    keep_alive: bool = True


def facts(request: Request) -> tuple[bytes, bytes, bytes, bool, int | None]:
    refused = request.rejection.status if request.rejection else None
    return request.method, request.target, request.body, request.keep_alive, refused


def expected(sent: Sent) -> tuple[bytes, bytes, bytes, bool, int | None]:
    return sent.method, sent.target, sent.body, sent.keep_alive, None


METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
TARGETS = st.one_of(
    st.sampled_from([b"/", b"/echo", b"/cpu?us=1", b"http://a/b?c", b"http://[::1]:80"]),
    st.text("abcXYZ019-._~%!$&'()+,;=:@/?", max_size=60).map(lambda text: b"/" + text.encode()),
)
VALUES = st.text("".join(map(chr, range(0x21, 0x7F))) + " \t", max_size=400).map(
    lambda text: text.strip().encode()
)
FIELDS = st.lists(
    st.builds(
        lambda name, space, value: b"X-" + name.encode() + b":" + space + value + b"\r\n",
        st.text("abcdef-_!#$%&'*+.^`|~0", max_size=20),
        st.sampled_from([b"", b" ", b"\t", b"  "]),
        VALUES,
    ),
    max_size=8,
).map(b"".join)
HOSTS = st.sampled_from([b"Host: a\r\n", b"host:b:80\r\n", b"HOST:  [::1]:8080 \r\n"])
EXPECTS = st.sampled_from([b"", b"", b"Expect: 100-continue\r\n"])
UPGRADES = st.sampled_from([b"", b"", b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n"])


@st.composite
def sent_requests(draw: st.DrawFn) -> Sent:
    method, target = draw(METHODS), draw(TARGETS)
    upgrade = draw(UPGRADES)
    head = method + b" " + target + b" HTTP/1.1\r\n" + draw(FIELDS) + draw(HOSTS) + upgrade + draw(FIELDS)
    body = draw(st.binary(max_size=300))
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "none":
        return Sent(head + b"\r\n", method, target, b"")
    head += draw(EXPECTS)
    if kind == "length":
        return Sent(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, method, target, body)
    return Sent(head + b"Transfer-Encoding: chunked\r\n\r\n" + draw(chunks(body)), method, target, body)


@st.composite
def chunks(draw: st.DrawFn, body: bytes) -> bytes:
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    parts = [body[i:j] for i, j in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
    trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n"]))
    said = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts if part)
    return said + b"0" + extension + b"\r\n" + trailer + b"\r\n"


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Sent], list[bytes]]:
    """Generate some requests, and their bytes in any pieces."""
    requests = draw(st.lists(sent_requests(), min_size=1, max_size=5))
    data = b"".join(request.data for request in requests)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return requests, [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True) if i < j]


@settings(max_examples=150, deadline=None)
@given(streams())
def test_any_split_gives_the_same_requests(stream: tuple[list[Sent], list[bytes]]) -> None:
    requests, pieces = stream
    parser = RequestParser()
    got = [request for piece in pieces for request in parser.feed(piece)]
    assert [facts(request) for request in got] == [expected(sent) for sent in requests]
    assert not parser.partial
    assert [facts(r) for r in parser.feed(GET)] == [(b"GET", b"/", b"", True, None)], "it is as good as new"


@settings(max_examples=40, deadline=None)
@given(sent_requests())
def test_requests_are_parsed_byte_by_byte(sent: Sent) -> None:
    parser = RequestParser()
    got: list[Request] = []
    for number, byte in enumerate(sent.data):
        assert not got
        assert parser.partial == (number > 0)
        got = parser.feed(bytes([byte]))
    assert [facts(request) for request in got] == [expected(sent)]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.line}: {bad.name}")
@pytest.mark.parametrize("before", [b"", GET, UPGRADE], ids=["first", "second", "behind an upgrade"])
def test_malformed_input_is_rejected_however_it_is_split(bad: Malformed, before: bytes) -> None:
    for data in (before + bad.data, before + bad.data + GET):
        for size in (len(data), 1, 2, 7):
            parser = RequestParser()
            *good, refused = [request for piece in cut(data, size) for request in parser.feed(piece)]
            assert len(good) == bool(before)
            assert refused.rejection is not None
            assert refused.rejection.status == bad.status
            assert refused.rejection.reason.strip()
            assert "\n" not in refused.rejection.reason
            assert not refused.keep_alive
            assert parser.feed(GET) == [], "nothing after it is parsed"
            assert not parser.partial


@pytest.mark.parametrize("bad", LIMITS, ids=lambda bad: f"{bad.line}: {bad.name}")
def test_input_that_is_too_long_is_rejected_however_it_is_split(bad: Malformed) -> None:
    for before in (b"", GET, UPGRADE):
        for size in (1 << 21, 1 << 16, 1460, 7) if len(bad.data) < 1 << 20 else (1 << 21, 1 << 16):
            parser = RequestParser()
            *good, refused = [
                request for piece in cut(before + bad.data, size) for request in parser.feed(piece)
            ]
            assert len(good) == bool(before)
            assert refused.rejection is not None
            assert refused.rejection.status == bad.status
            assert not parser.partial


@pytest.mark.parametrize("good", ACCEPTED, ids=lambda good: f"{good.line}: {good.name}")
@pytest.mark.parametrize("before", [b"", GET, UPGRADE], ids=["first", "second", "behind an upgrade"])
def test_valid_input_is_accepted_however_it_is_split(good: Accepted, before: bytes) -> None:
    data = before + good.data
    for size in (len(data), 1, 2, 7):
        parser = RequestParser()
        got = [request for piece in cut(data, size) for request in parser.feed(piece)]
        assert len(got) == bool(before) + len(good.bodies)
        assert not any(request.rejection for request in got)
        assert all(request.keep_alive for request in got[:-1])
        assert got[-1].keep_alive != good.closes
        assert len(parser.feed(GET)) == (not good.closes), (
            "after `close` nothing is parsed, else it is as good as new"
        )


@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.line}: {bad.name}")
def test_remembered_bytes_are_checked_again_in_another_position(bad: Malformed) -> None:
    """Well-formed bytes are fed at once when they come again, but only at the beginning of a request."""
    parser = RequestParser()
    for _ in range(3):
        assert [request.rejection for request in parser.feed(GET)] == [None]
    half = len(bad.data) // 2
    got = [request for piece in (bad.data[:half], bad.data[half:], GET) for request in parser.feed(piece)]
    assert [request.rejection is not None for request in got] == [True]


def test_the_same_bytes_within_another_request_are_its_body() -> None:
    parser = RequestParser()
    parser.feed(GET)
    body = GET * 2 + b"GET  / RTSP/1.1\r\n"
    assert parser.feed(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)) == []
    assert parser.feed(GET) == parser.feed(GET) == []
    (request,) = parser.feed(body[2 * len(GET) :])
    assert (request.rejection, request.body) == (None, body)
    (request,) = parser.feed(GET)
    assert (request.rejection, request.target) == (None, b"/")


@pytest.mark.parametrize("size", [65_536, 100_000])
def test_a_large_batch_of_small_requests_is_within_the_limits(size: int) -> None:
    data = GET * (size // len(GET)) + GET[:10]
    parser = RequestParser()
    got = [request for piece in cut(data, 65_536) for request in parser.feed(piece)]
    assert len(got) == size // len(GET)
    assert not any(request.rejection for request in got)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([bad.data for bad in MALFORMED])), max_size=4)
)
def test_no_bytes_raise_an_exception(pieces: list[bytes]) -> None:
    parser = RequestParser()
    got = [request for piece in pieces for request in parser.feed(piece)]
    assert sum(request.rejection is not None for request in got) <= 1
    assert all(request.rejection is None for request in got[:-1])


# Bounds


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_bodies_up_to_the_limit_are_accepted(step: int) -> None:
    size = BODY_LIMIT if step > 1 else 5000
    parser, body = RequestParser(), b"x" * size
    data = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body
    got = [request for i in range(0, len(data), step) for request in parser.feed(data[i : i + step])]
    assert [request.body for request in got] == [body]


@pytest.mark.parametrize("piece", [1000, 65536])
def test_a_chunked_body_is_rejected_as_soon_as_it_exceeds_the_limit(piece: int) -> None:
    parser = RequestParser()
    assert parser.feed(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == []
    chunk = b"%x\r\n%b\r\n" % (piece, b"x" * piece)
    got: list[Request] = []
    fed = 0
    while not got:
        assert fed <= BODY_LIMIT
        got = parser.feed(chunk)
        fed += piece
    assert fed > BODY_LIMIT
    assert refusal_of(got) == 413


@pytest.mark.parametrize("size", [1, 100, 5000])
@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET /", b"x", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"y", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"y", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n", 431),
        (b"G", b"G", 400),
        (b"", b"\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX:", b"y", 431),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x", 431),
    ],
    ids=[
        "target",
        "value",
        "name",
        "fields",
        "method",
        "empty lines",
        "trailers",
        "trailer",
        "chunk extension",
    ],
)
def test_endless_input_is_rejected_at_a_limit(begin: bytes, more: bytes, status: int, size: int) -> None:
    """Within 64 KiB of it."""
    parser = RequestParser()
    got = parser.feed(begin) if begin else []
    fed = 0
    while not got and fed <= 64 * 1024:
        got = parser.feed(more * size)
        fed += len(more) * size
    assert got, "it takes it for ever"
    assert refusal_of(got) in (status, 400, 413)


def refusal_of(got: list[Request]) -> int:
    (refused,) = got
    assert refused.rejection is not None
    return refused.rejection.status


def test_input_exactly_at_the_limits_is_accepted() -> None:
    target = b"/" + b"x" * (REQUEST_LINE_LIMIT - 1)
    (request,) = RequestParser().feed(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert request.rejection is None
    (request,) = RequestParser().feed(b"GET " + target + b"x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert request.rejection is not None
    assert request.rejection.status == 414
    fields = b"X: y\r\n" * (HEADER_COUNT_LIMIT - 1)
    (request,) = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert request.rejection is None
    (request,) = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n" + fields + b"\r\n")
    assert request.rejection is not None
    assert request.rejection.status == 431


# All bodies together


def post(size: int, *fields: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (b"".join(fields), size)


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("head", [post(1000), CHUNKED + b"3e8\r\n"], ids=["length", "chunked"])
def test_incomplete_bodies_are_counted_together_and_the_one_beyond_the_limit_is_rejected(head: bytes) -> None:
    bodies = BodyBudget(1500)
    first, second = RequestParser(bodies), RequestParser(bodies)
    assert first.feed(head + b"x" * 400) == second.feed(head) == []
    assert bodies.free == 1100
    assert first.feed(b"x" * 500) == second.feed(b"x" * 600) == []
    assert bodies.free == 0
    assert refusal_of(second.feed(b"x")) == 503
    assert bodies.free == 600, "a peer that was refused may linger, but its body does not"
    (request,) = first.feed(b"x" * 100 + (b"\r\n0\r\n\r\n" if b"chunked" in head else b""))
    assert (request.rejection, request.body) == (None, b"x" * 1000)
    assert bodies.free == 1500
    assert [facts(request) for request in first.feed(GET)] == [(b"GET", b"/", b"", True, None)]


def test_a_body_returns_its_budget_however_it_ends() -> None:
    bodies = BodyBudget(10_000)
    ends: dict[str, Callable[[RequestParser], object]] = {
        "closed": lambda parser: parser.close(),
        "complete": lambda parser: parser.feed(b"x" * 900),
        "complete, and the next begins": lambda parser: parser.feed(b"x" * 900 + GET[:9]),
    }
    for name, end in ends.items():
        for head in (
            post(1000),
            post(1000, b"Connection: close\r\n"),
            post(1000, b"Connection: Upgrade\r\nUpgrade: x\r\n"),
        ):
            parser = RequestParser(bodies)
            parser.feed(head + b"x" * 50)
            parser.feed(b"x" * 50)
            assert bodies.free == 9_900, name
            end(parser)
            assert bodies.free == 10_000, name
            parser.close()
            assert bodies.free == 10_000, "and not twice"
    malformed = RequestParser(bodies)
    malformed.feed(CHUNKED + b"5\r\nhell")
    assert bodies.free == 9_996
    assert refusal_of(malformed.feed(b"oo")) == 400
    assert bodies.free == 10_000


def test_only_a_body_that_is_incomplete_after_it_was_read_is_counted() -> None:
    bodies = BodyBudget(0)
    parser = RequestParser(bodies)
    for data in (GET, GET * 50, post(5) + b"hello", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"):
        assert {request.rejection for request in parser.feed(data)} == {None}
    for piece in (GET[:9], GET[9:], post(5)):
        assert not [request for request in parser.feed(piece) if request.rejection]
    assert refusal_of(parser.feed(b"hell")) == 503


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 9))
def test_a_closed_parser_has_returned_its_budget(
    stream: tuple[list[Sent], list[bytes]], cut_off: int
) -> None:
    bodies = BodyBudget(BODY_LIMIT)
    parser = RequestParser(bodies)
    for piece in stream[1][: len(stream[1]) - cut_off]:
        parser.feed(piece)
    parser.close()
    assert bodies.free == BODY_LIMIT


def test_all_connections_of_a_process_share_a_budget() -> None:
    free = BODIES.free
    one, two = RequestParser(), RequestParser()
    one.feed(post(100) + b"x" * 40)
    two.feed(post(100) + b"x" * 2)
    assert BODIES.free == free - 42
    one.close()
    two.close()
    assert BODIES.free == free


# Small print


@pytest.mark.parametrize(
    ("head", "keep_alive", "says"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, False),
        (b"GET / HTTP/1.0\r\n\r\n", False, False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, True),
        (b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n", False, False),
    ],
)
def test_keep_alive_follows_version_and_connection_options(head: bytes, keep_alive: bool, says: bool) -> None:
    (request,) = RequestParser().feed(head)
    assert (request.rejection, request.keep_alive, request.announces_keep_alive) == (None, keep_alive, says)


def test_100_continue_is_wanted_until_the_body_comes() -> None:
    parser = RequestParser()
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
    assert parser.feed(head) == []
    assert parser.wants_continue
    assert parser.in_body
    assert [request.body for request in parser.feed(b"hello")] == [b"hello"]
    assert not parser.wants_continue


def test_nothing_after_connection_close_is_answered() -> None:
    parser = RequestParser()
    got = parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
    assert [request.keep_alive for request in got] == [False]
    assert parser.feed(GET) == []


def test_a_closed_parser_returns_no_requests() -> None:
    parser = RequestParser()
    parser.close()
    assert parser.feed(GET) == []
