"""HTTP/1.1 as a client sees it, on every engine, over real sockets."""

from __future__ import annotations

import contextlib
import re
import time
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest

from tests.engines.conftest import Starter
from tests.engines.driver import GET, GREETING, HOST, Client, Engine, Variant, until
from tests.engines.malformed import ACCEPTED, LIMITS, MALFORMED, Accepted, Malformed

MIB = 1024 * 1024
BODY_LIMIT = MIB
CLOSE = b"Connection: close\r\n"


def echo(body: bytes, more: bytes = b"") -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + HOST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    lines = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return (
        b"POST /echo HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + lines
        + b"0\r\n"
        + trailer
        + b"\r\n"
    )


def answers_in(data: bytes) -> int:
    return len(re.findall(rb"HTTP/1\.1 \d{3} ", data))


# Plain exchanges


def test_plaintext_has_13_bytes(engine: Engine) -> None:
    with engine.connect() as client:
        before_s = time.time()
        answer = client.ask()
        assert (answer.status, answer.body) == (200, GREETING)
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["content-length"] == "13"
        date_s = parsedate_to_datetime(answer.headers["date"]).timestamp()
        assert int(before_s) - 1 <= date_s <= time.time(), "it is made once a second"
        assert "connection" not in answer.headers


def test_a_connection_is_kept_alive(engine: Engine) -> None:
    with engine.connect() as client:
        for _ in range(200):
            answer = client.ask()
            assert (answer.body, "connection" in answer.headers) == (GREETING, False)


def test_connection_close_is_answered_and_closed(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n" + GET)
        answer = client.answer()
        assert (answer.body, answer.closes) == (GREETING, True)
        assert client.rest() == b"", "what comes after `Connection: close` is not answered"


@pytest.mark.parametrize("option", [b"Close", b"keep-alive, close", b"close, x"])
def test_connection_is_a_list_in_any_case(table_engine: Engine, option: bytes) -> None:
    with table_engine.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + option + b"\r\n\r\n")
        assert client.answer().closes
        assert client.rest() == b""


def test_pipelined_requests_are_answered_in_order(engine: Engine) -> None:
    bodies = [b"number %d" % i for i in range(100)]
    with engine.connect() as client:
        client.send(b"".join(map(echo, bodies)))
        assert [client.answer().body for _ in bodies] == bodies


def test_pipelined_requests_wait_for_a_slow_one_in_front(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(b"GET /sleep?ms=60 HTTP/1.1\r\n" + HOST + b"\r\n" + echo(b"second") + GET)
        assert [client.answer().body for _ in range(3)] == [b"slept 60 ms\n", b"second", GREETING]


def test_two_thousand_pipelined_requests(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(GET * 2000)
        for _ in range(2000):
            assert client.answer().body == GREETING


def test_requests_pipelined_behind_large_responses_are_answered(engine: Engine) -> None:
    request = b"GET /bytes?n=%d HTTP/1.1\r\n" % MIB + HOST + b"\r\n"
    with engine.connect(receive_buffer=4096) as client:
        client.send((request + echo(b"between")) * 6)
        for _ in range(6):
            assert client.answer().body == b"x" * MIB
            assert client.answer().body == b"between"


def settled(engine: Engine) -> dict[str, int]:
    """Return the counters once every connection until now is closed, one of this test included."""
    with engine.connect() as client:
        client.ask()
    until(
        lambda: 0 < engine.board().counters["accepted"] == engine.board().counters["closed"],
        "no connection is left",
    )
    return engine.board().counters


def test_a_request_may_arrive_in_pieces(engine: Engine) -> None:
    """Split at critical places; `RequestParser` alone is tested with every split."""
    request = echo(b"slow")
    cuts = sorted(
        {
            0,
            1,
            5,
            request.index(b"\r"),
            request.index(b"Host") + 2,
            len(request) - 7,
            len(request) - 5,
            len(request),
        }
    )
    read = settled(engine)["bytes_in"]
    with engine.connect() as client:
        for begin, end in pairwise(cuts):
            assert not client.readable()
            client.send(request[begin:end])
            until(lambda n=read + end: engine.board().counters["bytes_in"] >= n, "the piece is read")  # type: ignore[misc]
        assert client.answer().body == b"slow"
        assert client.ask().body == GREETING


# Bodies


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65_536, 300_000, BODY_LIMIT])
def test_echo_returns_the_body(table_engine: Engine, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    with table_engine.connect() as client:
        client.send(echo(body))
        assert client.answer().body == body
        assert client.ask().body == GREETING


def test_echo_returns_a_chunked_body(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(chunked(b"hello", b", ", b"w" * 5000))
        assert client.answer().body == b"hello, " + b"w" * 5000
        client.send(chunked(trailer=b"X: y\r\nHost: trailers-do-not-count\r\n") + GET)
        assert client.answer().body == b""
        assert client.answer().body == GREETING


def test_chunk_extensions_are_ignored(engine: Engine) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n"
    with engine.connect() as client:
        client.send(head + b'5;a=1;b="2"\r\nhello\r\n0;last\r\n\r\n' + GET)
        assert client.answer().body == b"hello"
        assert client.answer().body == GREETING


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"])
def test_echo_takes_any_method(table_engine: Engine, method: str) -> None:
    with table_engine.connect() as client:
        assert client.ask("/echo", method, b"body").body == b"body"


# Other forms


@pytest.mark.parametrize("target", ["/", "/bytes?n=100", "/echo", "/nowhere", "/sleep?ms=x"])
def test_head_is_get_without_the_body(table_engine: Engine, target: str) -> None:
    with table_engine.connect() as client:
        get, head = client.ask(target), client.ask(target, "HEAD")
        assert (head.status, head.headers["content-length"], head.body) == (
            get.status,
            str(len(get.body)),
            b"",
        )
        assert client.ask().body == GREETING


@pytest.mark.parametrize("target", ["*", "/", "/sleep?ms=10000"])
def test_options_names_the_methods_and_does_no_work(table_engine: Engine, target: str) -> None:
    with table_engine.connect() as client:
        client.send(f"OPTIONS {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n")

        def answered_or_asleep() -> str | None:
            asleep = table_engine.blocked()
            return "asleep" if asleep else "answered" if client.readable() else None

        assert until(answered_or_asleep, "it answers") == "answered"
        answer = client.answer()
        assert (answer.status, answer.headers["allow"], answer.body) == (200, "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize(
    ("target", "body"),
    [("http://other", GREETING), ("http://other/healthz", b"ok\n"), ("HTTP://a:80/bytes?n=2", b"xx")],
)
def test_a_target_in_absolute_form_is_served(table_engine: Engine, target: str, body: bytes) -> None:
    with table_engine.connect() as client:
        assert client.ask(target).body == body


def test_http_1_0_closes_the_connection(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.body, answer.closes) == (200, GREETING, True)
        assert client.rest() == b""


def test_http_1_0_keep_alive_is_announced_in_the_response(engine: Engine) -> None:
    with engine.connect() as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = client.answer()
            assert (answer.status, answer.body, answer.headers["connection"]) == (200, GREETING, "keep-alive")


def test_expect_100_continue_is_answered_with_100(engine: Engine) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with engine.connect() as client:
        for _ in range(2):
            client.send(head)
            assert client.answer().status == 100
            client.send(b"hello")
            assert client.answer().body == b"hello"


def test_no_100_is_sent_when_the_body_does_not_wait_for_it(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(echo(b"hello", b"Expect: 100-continue\r\n") + GET)
        answers = [client.answer() for _ in range(2)]
        if answers[0].status == 100:  # allowed, and not needed
            answers = [answers[1], client.answer()]
        assert [answer.body for answer in answers] == [b"hello", GREETING]


def test_100_continue_does_not_overtake_a_response(engine: Engine) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with engine.connect() as client:
        client.send(b"GET /sleep?ms=60 HTTP/1.1\r\n" + HOST + b"\r\n" + head)
        assert client.answer().body == b"slept 60 ms\n"
        assert client.answer().status == 100
        client.send(b"hello")
        assert client.answer().body == b"hello"


def test_a_body_that_is_too_long_is_rejected_before_it_is_sent(engine: Engine) -> None:
    with engine.connect() as client:
        expect = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1)
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + expect)
        assert client.answer().status == 413
        assert client.rest() == b""


def test_http_1_0_gets_no_100(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        assert client.answer().body == b"hello"
        assert client.rest() == b""


@pytest.mark.parametrize("target", ["/", "/sleep?ms=60", "/bytes?n=1000000"])
def test_a_half_closed_connection_is_answered(engine: Engine, target: str) -> None:
    with engine.connect() as client:
        client.send(f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n" + GET)
        client.half_close()
        assert client.answer().status == 200
        assert client.answer().body == GREETING
        assert client.rest() == b""


def test_a_partial_request_is_not_answered(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(GET + echo(b"hello")[:-2])
        client.half_close()
        assert client.answer().body == GREETING
        assert not client.rest().startswith(b"HTTP/1.1 200")


def test_an_upgrade_with_a_body_is_ignored(engine: Engine) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with engine.connect() as client:
        client.send(echo(b"one", upgrade) + chunked(b"two").replace(HOST, HOST + upgrade) + GET)
        assert [client.answer().body for _ in range(3)] == [b"one", b"two", GREETING]


def test_an_upgrade_that_expects_100_continue_gets_it(engine: Engine) -> None:
    """As curl does with --http2 and a long body."""
    wanted = b"Connection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with engine.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + wanted)
        assert client.answer().status == 100
        client.send(b"hello")
        assert client.answer().body == b"hello"


@pytest.mark.parametrize("host", [b"Host: a b", b"Host: a\r\nHost: a"])
def test_malformed_input_after_an_upgrade_is_rejected(start: Starter, variant: Variant, host: bytes) -> None:
    engine = start(variant)  # a new one: this has ended engines
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with engine.connect() as client, engine.connect() as other:
        client.send(
            b"GET / HTTP/1.1\r\n" + HOST + upgrade + b"\r\nGET / HTTP/1.1\r\n" + host + b"\r\n\r\n" + GET
        )
        assert client.answer().body == GREETING
        assert client.answer().status == 400
        assert answers_in(client.rest()) == 0
        assert other.ask().body == GREETING


# Work


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/", GREETING),
        ("/?any=query", GREETING),
        ("/healthz", b"ok\n"),
        ("/cpu?us=100", b"burnt 100 us, holding the GIL\n"),
        ("/hash?us=100", b"hashed for 100 us, without the GIL\n"),
        ("/sleep?ms=1", b"slept 1 ms\n"),
        ("/cpu?us=0", b"burnt 0 us, holding the GIL\n"),
        ("/hash?us=0", b"hashed for 0 us, without the GIL\n"),
        ("/sleep?ms=0", b"slept 0 ms\n"),
        ("/bytes?n=0", b""),
        ("/bytes?other=7&n=3", b"xxx"),
        ("/bytes?%6e=%33", b"xxx"),
        ("/bytes?n=x&n=3", b"xxx"),
        ("/bytes?n=1048576", b"x" * MIB),
    ],
)
def test_each_work_kind_returns_its_result(table_engine: Engine, target: str, body: bytes) -> None:
    with table_engine.connect() as client:
        answer = client.ask(target)
        assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "target",
    [
        "/cpu",
        "/cpu?us=",
        "/cpu?us=-1",
        "/cpu?us=1000001",
        "/cpu?us=1e3",
        "/hash?ms=1",
        "/hash?us=0x1",
        "/hash?us=1_0",
        "/sleep?ms=10001",
        "/sleep?ms=1.5",
        "/sleep?ms=%EF%BC%91",
        "/bytes?n=1048577",
        "/bytes?n=9999999999999999999999",
        "/bytes?",
        "/bytes?5",
        "/bytes?m=5",
        "/bytes?n=%C2%B2",
    ],
)
def test_work_out_of_bounds_is_rejected_in_one_line(table_engine: Engine, target: str) -> None:
    with table_engine.connect() as client:
        answer = client.ask(target)
        assert answer.status == 400
        assert re.fullmatch(rb"(us|ms|n) must be a whole number from 0 to \d+\n", answer.body)
        assert client.ask().body == GREETING, "the request was well-formed: the connection stays open"


def test_an_unknown_path_is_404(engine: Engine) -> None:
    with engine.connect() as client:
        assert client.ask("/nowhere").status == 404
        assert client.ask("/echo/").status == 404
        assert client.ask().body == GREETING


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_method_that_is_not_allowed_is_405(table_engine: Engine, method: str) -> None:
    with table_engine.connect() as client:
        answer = client.ask("/", method, b"body")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert client.ask().body == GREETING


# Refusals

REFUSED = (*MALFORMED, *LIMITS)


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: f"{bad.line}: {bad.name}")
def test_malformed_input_is_rejected_and_what_follows_is_ignored(
    table_engine: Engine, bad: Malformed
) -> None:
    for before in (b"", GET):
        with table_engine.connect() as client:
            client.send(before + bad.data + (b"" if bad in LIMITS else GET))
            is_refused(client, bad, behind=bool(before))


@pytest.mark.full
@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.line}: {bad.name}")
def test_malformed_input_is_rejected_byte_by_byte(table_engine: Engine, bad: Malformed) -> None:
    with table_engine.connect() as client:
        by_bytes(client, bad.data[:500])
        is_refused(client, bad)


def is_refused(client: Client, bad: Malformed, behind: bool = False) -> None:
    if behind:
        assert client.answer().body == GREETING, "what was good before it is answered"
    refusal = client.answer()
    assert refusal.status == bad.status
    assert refusal.closes
    assert refusal.body.endswith(b"\n")
    assert ("allow" in refusal.headers) == (refusal.status == 405)
    assert answers_in(client.rest()) == 0


def by_bytes(client: Client, data: bytes) -> None:
    """Send in segments of one byte; the engine may have closed before the last of them."""
    with contextlib.suppress(OSError):
        for at in range(len(data)):
            client.send(data[at : at + 1])


@pytest.mark.parametrize("good", ACCEPTED, ids=lambda good: f"{good.line}: {good.name}")
def test_input_that_the_table_accepts_is_served(table_engine: Engine, good: Accepted) -> None:
    for send in (Client.send, by_bytes):
        with table_engine.connect() as client:
            client.send(GET)
            send(client, good.data)
            answers = [client.answer() for _ in range(1 + len(good.bodies))]
            assert [answer.status for answer in answers] == [200] * len(answers)
            assert tuple(answer.body for answer in answers[1:]) == good.bodies
            assert answers[-1].closes == good.closes
            if good.closes:
                assert client.rest() == b""
            else:
                assert client.ask().body == GREETING, "it is as good as new"


def test_input_within_the_limits_is_served(engine: Engine) -> None:
    fields = b"".join(b"X-%d: " % i + b"y" * 280 + b"\r\n" for i in range(99))
    with engine.connect() as client:
        assert client.ask("/?" + "x" * 8000).body == GREETING
        assert client.ask(more=fields).body == GREETING


def test_a_rejection_can_be_read_while_the_client_still_sends(engine: Engine) -> None:
    """Unread bytes would make the kernel send a reset, and the client would lose the response."""
    with engine.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n")
        until(client.readable, "the refusal is sent")
        client.send(b"x" * 50_000)
        assert client.answer().status == 413
        assert client.rest() == b""


def test_a_client_that_sends_on_after_a_rejection_is_closed(engine: Engine) -> None:
    closed = settled(engine)["closed"]
    with engine.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n")
        with pytest.raises(OSError):  # a reset or a broken pipe, as the kernel likes
            while True:
                client.send(b"x" * 50_000)
        until(lambda: engine.board().counters["closed"] > closed, "the connection is closed")


# Others


def test_a_slow_reader_of_large_answers_does_not_stop_the_others(engine: Engine) -> None:
    request = b"GET /bytes?n=%d HTTP/1.1\r\n" % MIB + HOST + b"\r\n"
    with engine.connect(receive_buffer=4096) as slow, engine.connect() as other:
        slow.send(request * 8)
        until(slow.readable, "the first answer begins")
        for _ in range(100):
            assert other.ask().body == GREETING
        assert [len(slow.answer().body) for _ in range(8)] == [MIB] * 8
        assert slow.ask().body == GREETING


def test_clients_that_reset_do_no_harm(start: Starter, variant: Variant) -> None:
    engine = start(variant)
    with engine.connect() as other:
        for sent in (b"", b"GET / HT", GET, GET * 50, echo(b"x" * 100_000)[:50_000], b"\0") * 30:
            with engine.connect() as client:
                client.send(sent)
                client.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s: close() resets
        assert other.ask().body == GREETING
    until(lambda: engine.held() == 0, "all are closed")
