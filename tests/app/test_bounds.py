"""What a client can make the control plane keep: bytes, time, connections, viewers. All of it before any login.

`server` is a server with the lab's protocols and an application of the test's own, so that a test can hold it open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import Request, Response
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.addresses import unmapped
from app.lab.child import LINE_MAX, Child
from app.tokens import COOKIE, cookie_value, new_token
from app.web import connection_limit, server
from app.web.connection_limit import ACCEPTED_AT_ONCE, ConnectionLimit, connections_for
from app.web.h11_connection import BYTES_PER_CHUNK, CHUNKS_FREE, HEAD_MAX
from app.web.http_protocol import LINGER_MAX, REST_MAX, WITHIN_S, Phase
from app.web.log import EscapingFormatter, RepeatFilter
from app.web.server import Server, configured
from tests.waiting import BOUND_S

from .driver import LabProcess, until
from .inside import LabInside
from .test_live import Viewer, viewer
from .test_security import is_guarded

TOKEN = new_token()
SOON_S = 0.05
LONG = 16 * 1024 * 1024  # more than the kernel takes for a client that reads nothing


class Application:
    """Answers each path in its own way; `/work` only when the test lets it."""

    def __init__(self) -> None:
        self.working = 0
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        body = b"served"
        if scope["path"] == "/work":
            self.working += 1
            await asyncio.to_thread(self.go_on.wait, BOUND_S)
        elif scope["path"] == "/body":
            while (await receive()).get("more_body"):
                pass
        elif scope["path"] == "/long":
            body = bytes(LONG)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


class Served:
    """A server on a thread of its own."""

    def __init__(self, most: int, **more: Any) -> None:
        self.app = Application()
        listener = server.listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self._server = Server(configured(cast(Any, self.app), most, log_level="warning", **more))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the server has started")

    @property
    def connections(self) -> list[Any]:
        """The protocols of the connections that are open."""
        return list(self._server.server_state.connections)

    def connect(self, data: bytes = b"") -> socket.socket:
        """A client that has sent `data`."""
        sock = socket.create_connection(("127.0.0.1", self.port), BOUND_S)
        sock.sendall(data)
        return sock

    def close(self) -> None:
        self.app.go_on.set()
        self._server.should_exit = True
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()


MOST = 6


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served(MOST)) as one:
        yield one


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[Phase], None]:
    """Make one deadline short."""
    return lambda phase: monkeypatch.setitem(WITHIN_S, phase, SOON_S)


def is_closed_as_too_big(sock: socket.socket) -> None:
    """Among frames of the live view comes a close with 1009."""
    found = bytearray()

    def read() -> bool:
        found.extend(sock.recv(65536))
        return (1009).to_bytes(2, "big") in found

    until(read, "it is closed with 1009")


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[LabInside]:
    with closing(LabInside(tmp_path)) as lab:
        yield lab


def head(line: str = "GET /", more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def all_of(sock: socket.socket) -> bytes:
    """What is sent until the server closes."""
    found = bytearray()
    with sock, suppress(ConnectionResetError, BrokenPipeError):
        while data := sock.recv(65536):
            found += data
    return bytes(found)


def answered(sock: socket.socket) -> bytes:
    """The first line of an answer of the application, on a connection that may stay open."""
    found = b""
    while data := sock.recv(4096):
        found += data
        if found.endswith(b"served"):
            break
    return found.partition(b"\r\n")[0]


# Bytes


@pytest.mark.parametrize(
    "parts",
    [[b"x: " + b"y" * (HEAD_MAX + 20_000)], [b"a: " + b"b" * 500 + b"\r\n"] * 200, [b"c" * 1000] * 90],
    ids=["one field", "many fields", "in pieces"],
)
def test_a_head_of_more_than_64_kib_is_refused_while_it_is_read(served: Served, parts: list[bytes]) -> None:
    sock = served.connect(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    with suppress(ConnectionResetError, BrokenPipeError):  # it is closed before the head has an end
        for part in parts:
            sock.sendall(part)
    said = all_of(sock)
    assert said.startswith(b"HTTP/1.1 431 ") or not said  # a reset may have taken the answer with it
    until(lambda: not served.connections, "the connection is closed")


def test_who_stops_at_the_bound_is_told_why_with_the_headers_of_every_answer(lab: LabProcess) -> None:
    with socket.create_connection(("127.0.0.1", lab.port), BOUND_S) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (HEAD_MAX + 1))
        lines, _, body = all_of(sock).decode().partition("\r\n\r\n")
    status, *fields = lines.split("\r\n")
    assert status.startswith("HTTP/1.1 431 ") and "64 KiB" in json.loads(body)["detail"]
    pairs = (field.partition(": ") for field in fields)
    is_guarded(httpx.Response(431, headers=[(name, value) for name, _, value in pairs]))


def test_a_head_just_below_the_bound_is_served(served: Served) -> None:
    with served.connect(head(more=f"x: {'y' * (HEAD_MAX - 100)}\r\n")) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(("number", "status"), [(98, b"200"), (101, b"431")])
def test_a_head_has_at_most_100_fields(served: Served, number: int, status: bytes) -> None:
    with served.connect(head(more="Connection: close\r\n" + "a:\r\n" * number)) as sock:
        assert answered(sock).startswith(b"HTTP/1.1 " + status)


def test_the_bounds_hold_for_a_later_request_of_a_connection_too(served: Served) -> None:
    many = head(more="a:\r\n" * 200)
    said = all_of(served.connect(head() + many))  # at once
    assert said.count(b"\r\n\r\nserved") == 1 and said.count(b"HTTP/1.1 431") == 1
    chunks = head("POST /body", "Transfer-Encoding: chunked\r\n") + b"1\r\na\r\n" * (CHUNKS_FREE + 2)
    assert all_of(served.connect(head() + chunks)).count(b"HTTP/1.1 400") == 1
    with served.connect(head()) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(many)  # one after the other
        assert all_of(sock).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_comes_whole_is_not_longer_either(served: Served) -> None:
    assert all_of(served.connect(head(more=f"x: {'y' * HEAD_MAX}\r\n"))).startswith(b"HTTP/1.1 431 ")


def test_a_body_has_one_length(served: Served) -> None:
    both = head("POST /body", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n"
    assert all_of(served.connect(both)).startswith(b"HTTP/1.1 400 ")


def test_lines_of_a_text_are_no_chunks(served: Served) -> None:
    body = b"%x\r\n" % 5000 + b"\n" * 5000 + b"\r\n0\r\n\r\n"
    with served.connect(head("POST /body", "Transfer-Encoding: chunked\r\n") + body) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "line", [b"1;" + b"x" * 600 + b"\r\na\r\n", b"0\r\n" + b"a: b\r\n" * 200], ids=["size", "trailers"]
)
def test_a_chunk_has_no_long_line(served: Served, line: bytes) -> None:
    sock = served.connect(head("POST /body", "Transfer-Encoding: chunked\r\n") + line)
    assert all_of(sock).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_nobody_reads_is_cut_also_where_no_answer_is_taken(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for phase in (Phase.ANSWER, Phase.REST, Phase.LINGER):
        monkeypatch.setitem(WITHIN_S, phase, 2 * BOUND_S)  # so that it is not a deadline that closes it
    with served.connect(head("POST /long", "Content-Length: 99999999\r\n")) as sock, pytest.raises(OSError):
        for _ in range(8 * (REST_MAX + LINGER_MAX) // 65536):
            sock.sendall(b"x" * 65536)


def test_lines_of_a_body_are_no_fields(served: Served) -> None:
    with served.connect(head("POST /body", "Content-Length: 500\r\n") + b"\n" * 500) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("path", ["/body", "/"], ids=["that is read", "that nobody reads"])
def test_chunks_of_a_byte_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setitem(WITHIN_S, Phase.REST, 2 * BOUND_S)  # so that it is not the deadline that closes it
    monkeypatch.setitem(WITHIN_S, Phase.BODY, 2 * BOUND_S)
    sock = served.connect(head(f"POST {path}", "Transfer-Encoding: chunked\r\n"))
    with suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(b"1\r\na\r\n" * (CHUNKS_FREE + 2))
    all_of(sock)
    until(lambda: not served.connections, "the connection is closed")


def test_chunks_of_some_size_are_taken_and_the_next_request_begins_anew(served: Served) -> None:
    small, large = b"1\r\na\r\n" * (CHUNKS_FREE - 1), b"%x\r\n%b\r\n" % (BYTES_PER_CHUNK, b"a" * BYTES_PER_CHUNK) * 500
    body = small + large + b"0\r\n\r\n"
    with served.connect() as sock:
        for _ in range(3):
            sock.sendall(head("POST /body", "Transfer-Encoding: chunked\r\n") + body)
            assert answered(sock) == b"HTTP/1.1 200 OK"


def test_requests_may_come_at_once_or_letter_by_letter(served: Served) -> None:
    one = head("POST /body", "Content-Length: 3\r\n") + b"abc"
    with served.connect(one * 3 + head(more="Connection: close\r\n")) as sock:
        assert all_of(sock).count(b"served") == 4
    with served.connect() as sock:
        for letter in one:
            sock.sendall(bytes([letter]))
        assert answered(sock) == b"HTTP/1.1 200 OK"


def test_what_is_no_http_is_refused_in_words(served: Served) -> None:
    assert all_of(served.connect(b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


def test_a_connection_goes_on_after_a_short_body_that_nobody_read(served: Served) -> None:
    with served.connect(head("POST /", "Content-Length: 9\r\n")) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(b"unwanted." + head())
        assert answered(sock) == b"HTTP/1.1 200 OK"


def test_a_long_body_that_nobody_reads_is_thrown_away_and_then_cut(served: Served) -> None:
    with served.connect(head("POST /", "Content-Length: 99999999\r\n")) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(b"x" * (REST_MAX + 1))
        assert sock.recv(1) == b"", "no other answer comes on this connection"
        with pytest.raises(OSError):
            for _ in range(2 + LINGER_MAX // 1024):
                sock.sendall(b"x" * 1024 * 1024)
    until(lambda: not served.connections, "the connection is closed")


def test_a_cookie_is_found_among_others() -> None:
    for header in (f"{COOKIE}=x", f"a=1; {COOKIE}=x; b=2", f'a="\\";{COOKIE}=x', f"{COOKIE} = x "):
        assert cookie_value(header, COOKIE) == "x", header
    for header in ("", f"a{COOKIE}=x", COOKIE, f'a="{COOKIE}"=x', ";" * 100):
        assert cookie_value(header, COOKIE) == "", header


def test_no_route_sees_a_cookie(tmp_path: Path) -> None:
    """Starlette would read it as http.cookies does."""
    seen: list[list[str]] = []

    async def see(request: Request) -> Response:
        seen.append(list(request.headers))
        return Response()

    with closing(LabInside(tmp_path, token=TOKEN)) as lab:
        lab.app.add_api_route("/seen", see, include_in_schema=False)
        session = lab.app.state.tokens.new_session()
        lab.http.get("/seen", headers={"Cookie": f"{COOKIE}={session}"})
    assert len(seen) == 1 and "cookie" not in seen[0] and "host" in seen[0]


# Time


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost:", b"G"], ids=["a field", "a letter"])
def test_a_head_that_does_not_come_is_told_so_and_closed(
    served: Served, soon: Callable[[Phase], None], data: bytes
) -> None:
    soon(Phase.HEAD)
    assert all_of(served.connect(data)).startswith(b"HTTP/1.1 408 ")


def test_who_says_nothing_is_closed(served: Served, soon: Callable[[Phase], None]) -> None:
    soon(Phase.HEAD)
    assert all_of(served.connect()) == b""


def test_a_trickle_does_not_put_the_deadline_off(served: Served, soon: Callable[[Phase], None]) -> None:
    soon(Phase.HEAD)
    with served.connect(b"GET / HTTP/1.1\r\n") as sock:
        protocol = until(lambda: next(iter(served.connections), None), "the connection is there")
        due_s = protocol._deadline.when()
        sock.sendall(b"a: b\r\n")
        until(lambda: b"a: b" in protocol.conn.trailing_data[0] or not served.connections, "more of it was read")
        assert protocol._deadline is None or protocol._deadline.when() == due_s
        assert all_of(sock).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_told_so_and_closed(
    served: Served, soon: Callable[[Phase], None], framing: str
) -> None:
    soon(Phase.BODY)
    assert all_of(served.connect(head("POST /body", f"{framing}\r\n"))).startswith(b"HTTP/1.1 408 ")


def test_the_application_may_take_its_time(served: Served, soon: Callable[[Phase], None]) -> None:
    for phase in (Phase.HEAD, Phase.BODY):
        soon(phase)
    with served.connect(head("GET /work")) as sock, served.connect(b"GET") as other:
        until(lambda: served.app.working, "the application works")
        assert all_of(other)  # its deadline is over
        served.app.go_on.set()
        assert answered(sock) == b"HTTP/1.1 200 OK"


def test_the_head_of_the_next_request_has_its_own_time() -> None:
    """Not what is left of keep-alive, which is nothing here."""
    with closing(Served(MOST, timeout_keep_alive=0)) as impatient:
        one = head()
        with impatient.connect(one + one[:9]) as sock:
            assert answered(sock) == b"HTTP/1.1 200 OK"
            assert len(impatient.connections) == 1
            sock.sendall(one[9:])
            assert answered(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /",
        head("POST /body", "Content-Length: 9\r\n"),
        head("POST /", "Content-Length: 9\r\n"),
        head("GET /long"),
    ],
    ids=["silent", "head", "body", "rest", "answer"],
)
def test_no_client_keeps_the_lab_from_ending(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(server, "GRACE_S", 10 * BOUND_S)
    monkeypatch.setattr(server, "TAKEN_WITHIN_MS", 1_000_000)  # so that it is not the kernel that closes it
    for phase in WITHIN_S:
        monkeypatch.setitem(WITHIN_S, phase, 10 * BOUND_S)
    one = Served(MOST)
    with one.connect(data):
        until(lambda: one.connections, "the connection is there")
        one.close()


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.REST])
def test_who_was_answered_and_sends_nothing_more_is_closed(
    served: Served, soon: Callable[[Phase], None], phase: Phase
) -> None:
    soon(phase)
    body = "Content-Length: 10\r\n" if phase is Phase.REST else ""
    assert all_of(served.connect(head("POST /", body))).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_take_the_answer_is_closed(served: Served, soon: Callable[[Phase], None]) -> None:
    soon(Phase.ANSWER)
    with served.connect(head("GET /long")):
        until(lambda: served.connections, "the connection is there")
        until(lambda: not served.connections, "the connection is closed")


def test_who_takes_the_answer_slowly_gets_all_of_it(served: Served, soon: Callable[[Phase], None]) -> None:
    with served.connect(head("GET /long", "Connection: close\r\n")) as sock:
        assert len(all_of(sock)) > LONG


def test_a_websocket_has_no_such_deadline(tmp_path: Path, soon: Callable[[Phase], None]) -> None:
    with closing(LabInside(tmp_path)) as lab, viewer(lab) as view:
        for phase in WITHIN_S:
            soon(phase)
        with viewer(lab) as late:
            for _ in range(5):  # a frame each 100 ms
                view.frame()
                late.frame()


def test_a_body_that_breaks_off_leaves_one_line(inside: LabInside, caplog: pytest.LogCaptureFixture) -> None:
    paths = {"/login": "application/x-www-form-urlencoded", "/api/v1/runs": "application/json"}
    for path, kind in paths.items():
        with socket.create_connection(("127.0.0.1", inside.port), BOUND_S) as sock:
            more = f"Content-Type: {kind}\r\nContent-Length: 100\r\n"
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{inside.port}\r\n{more}\r\n{{".encode())
        until(lambda path=path: f"'{path}'" in caplog.text, f"{path} was logged")  # type: ignore[misc]
    until(lambda: len(inside.connections) <= 1, "the connections are closed")
    assert [each.getMessage() for each in caplog.records if each.name != "httpx"] == [
        f"127.0.0.1 left before the body of POST '{path}' was whole" for path in paths
    ]


# Connections


def test_the_oldest_that_waits_makes_room_for_a_new_one(served: Served) -> None:
    held = [served.connect(part) for part in (b"", b"GET /", head("POST /body", "Content-Length: 9\r\n")) * 2]
    until(lambda: len(served.connections) == MOST, "all places are taken")
    with served.connect(head()) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"
        assert all_of(held[0]) == b"", "the oldest is closed"
        until(lambda: len(served.connections) == MOST, "and only that one")
    for each in held:
        each.close()


def test_who_is_at_work_is_not_closed_for_others(served: Served) -> None:
    with ExitStack() as stack:
        at_work = [stack.enter_context(served.connect(head("GET /work"))) for _ in range(MOST)]
        until(lambda: served.app.working == MOST, "all are at work")
        assert all_of(served.connect(head())).startswith(b"HTTP/1.1 503 ")
        served.app.go_on.set()
        assert [answered(sock) for sock in at_work] == [b"HTTP/1.1 200 OK"] * MOST
        with served.connect(head()) as sock:
            assert answered(sock) == b"HTTP/1.1 200 OK"


class Waiting:
    def __init__(self) -> None:
        self.closed = False

    def evict(self) -> None:
        self.closed = True


def test_strangers_are_closed_first_and_then_the_oldest() -> None:
    limit = ConnectionLimit(2)
    known, first, second, third = some = Waiting(), Waiting(), Waiting(), Waiting()
    limit.waits(known, served=True)
    for each in (first, second, third):
        limit.waits(each, served=False)
    limit.waits(first, served=False)  # it waits anew, and so is the youngest now
    limit.works(third)
    assert limit.make_room(2) and not any(each.closed for each in some)
    closed = []
    while limit.make_room(3):
        closed.append(next(each for each in some if each.closed and each not in closed))
    assert closed == [second, first, known]


def test_descriptors_are_left_for_engines() -> None:
    assert connections_for(10**6, 16) == connection_limit.CONNECTIONS_MAX
    few = connections_for(400, 16)
    assert few + 16 * connection_limit.RESERVED_PER_ENGINE + 2 * ACCEPTED_AT_ONCE < 400 and few > 50
    assert connections_for(400, 8) > few
    assert connections_for(100, 16) == connection_limit.CONNECTIONS_MIN


def test_the_soft_limit_of_descriptors_is_raised() -> None:
    few = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 200))"
    raised = (
        "from app.web.connection_limit import raise_descriptor_limit as up; print(up(), r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", f"{few}; {raised}"], capture_output=True, text=True, check=True)
    assert done.stdout == "200 (200, 200)\n"


def test_2000_sockets_keep_nobody_out_at_400_descriptors(tmp_path: Path) -> None:
    """Idle, with a part of a head, with a part of a body: more than there are descriptors, and the lab goes on."""
    with closing(LabProcess(tmp_path, "--token", TOKEN, descriptors=400)) as lab, ExitStack() as stack:
        lab.http.headers["Authorization"] = f"Bearer {TOKEN}"
        body = head("POST /login", "Content-Length: 60000\r\n").replace(b"127.0.0.1", b"localhost") + b"token="
        for number in range(2000):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), BOUND_S))
            with suppress(OSError):
                sock.sendall((b"", b"GET / HTTP/1.1\r\nHost:", body)[number % 3])
            if number % 20 == 0:
                assert lab.get("/engines") == []
        engine = lab.start("reactor")
        assert lab.get("/engines")[0]["id"] == engine["id"]
        assert len(lab.errors().splitlines()) < 50, lab.errors()
        lab.tidy()


# WebSockets


def upgraded(lab: LabProcess) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", lab.port), BOUND_S)
    sock.sendall(
        b"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % lab.port
    )
    assert sock.recv(12) == b"HTTP/1.1 101"
    return sock


def test_a_message_of_more_than_16_kib_is_refused_by_its_head(inside: LabInside) -> None:
    with upgraded(inside) as sock:
        sock.sendall(b"\x81\xff" + (server.MESSAGE_MAX + 1).to_bytes(8, "big") + b"mask")  # nothing of it has come yet
        is_closed_as_too_big(sock)
    with viewer(inside) as view:
        view.say(type="subscribe", engines=["x" * (server.MESSAGE_MAX - 100)])
        view.frame()


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)
NO_HANDSHAKES = {
    "a body": head("GET /ws/v1/live", f"Content-Length: 5\r\n{UPGRADE}"),
    "chunks": head("GET /ws/v1/live", f"Transfer-Encoding: chunked\r\n{UPGRADE}"),
    "a long address": head(f"GET /{'a' * 9000}", UPGRADE),
    "a long field": head("GET /ws/v1/live", f"a: {'b' * 9000}\r\n{UPGRADE}"),
    "a control character": head("GET /ws/v1/live", f"a: \x01\r\n{UPGRADE}"),
    "no key": head("GET /ws/v1/live", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
}


@pytest.mark.parametrize("case", NO_HANDSHAKES)
def test_a_handshake_that_is_none_is_refused_and_closed(inside: LabInside, case: str) -> None:
    sock = socket.create_connection(("127.0.0.1", inside.port), BOUND_S)
    sock.sendall(NO_HANDSHAKES[case])
    assert all_of(sock).startswith(b"HTTP/1.1 400 ")
    until(lambda: not inside.connections, "the connection is closed")


def test_a_handshake_behind_answers_that_are_not_taken_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TAKEN_WITHIN_MS", 1_000_000)  # so that it is not the kernel that closes it
    with closing(Served(MOST)) as one, one.connect(head("GET /long") + head("GET /ws", UPGRADE)):
        until(lambda: one.connections, "the connection is there")
        until(lambda: not one.connections, "the connection is closed")


def test_a_message_has_not_more_than_64_fragments(inside: LabInside) -> None:
    with upgraded(inside) as sock:
        sock.sendall(b"\x01\x80mask" + b"\x00\x80mask" * 100)
        is_closed_as_too_big(sock)


def test_who_reads_no_answer_to_a_ping_is_not_read(inside: LabInside) -> None:
    """The answers would be kept for a client that takes none."""
    with upgraded(inside) as sock:
        sock.setblocking(False)
        ping = (b"\x89\xfd" + b"mask" + b"x" * 125) * 500
        stuck = until(lambda: _stuck(sock, ping), "nothing more is taken")
        kept = [each.transport.get_write_buffer_size() for each in inside.connections]
        assert stuck and max(kept) < 1024 * 1024, kept


def _stuck(sock: socket.socket, data: bytes) -> bool:
    """Send until nothing is taken; whether nothing was taken at all."""
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += sock.send(data)
    return not sent


def test_too_many_viewers_are_told_so(inside: LabInside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.VIEWERS_MAX", 2)
    with viewer(inside) as first:
        with viewer(inside) as second, viewer(inside) as third:
            first.frame()
            second.frame()
            code, reason = third.closed()
            assert code == 1013 and reason.startswith("2 live pages of this lab are open already.")
        _comes_in(inside)


def test_one_address_cannot_take_all_places_of_viewers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.VIEWERS_OF_ADDRESS_MAX", 1)
    one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    with closing(LabInside(tmp_path, trusted_proxies="127.0.0.1")) as lab, viewer(lab, **one) as first:
        first.frame()
        with viewer(lab, **one) as second, viewer(lab, **other) as third:
            code, reason = second.closed()
            assert code == 1013 and reason.startswith("1 live pages from 192.0.2.1 are open already.")
            third.frame()


def _comes_in(lab: LabInside) -> None:
    """A viewer is served as soon as the lab has seen that the others left."""

    def one() -> bool:
        with viewer(lab) as view:
            return bool(view.message()["type"] == "hello")

    until(lambda: _unless_closed(one), "there is a place again")


def _unless_closed(play: Callable[[], bool]) -> bool:
    with suppress(ConnectionClosed):
        return play()
    return False


# The log


def record(message: str, *args: object, level: int = logging.WARNING, name: str = "threadlab") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def logged(number: int, *args: object, level: int = logging.WARNING) -> list[str]:
    """What a filter lets pass of so many equal records."""
    some = RepeatFilter()
    records = [record("%s has failed", *args, level=level) for _ in range(number)]
    return [each.getMessage() for each in records if some.filter(each)]


def test_what_repeats_is_logged_with_its_count() -> None:
    counts = ["", " (the 10th of its kind)", " (the 100th of its kind)", " (the 1,000th of its kind)"]
    assert logged(1500, "x") == [f"x has failed{count}" for count in counts]
    assert len(logged(50, "x", level=logging.INFO)) == 50


def test_kinds_are_told_apart_and_bounded() -> None:
    some = RepeatFilter()
    assert all(some.filter(record("%s", address)) for address in ("192.0.2.1", "192.0.2.2"))
    assert some.filter(record("%s", "192.0.2.1", name="asyncio"))
    for number in range(5000):
        assert some.filter(record("%s", number))
    assert len(some._seen) <= 1000


def test_ipv4_is_ipv4_also_for_who_listens_on_ipv6() -> None:
    assert unmapped(("::ffff:192.0.2.1", 5)) == ("192.0.2.1", 5)
    for client in (("192.0.2.1", 5), ("2001:db8::1", 5), None):
        assert unmapped(client) == client


@pytest.mark.parametrize(("known", "level"), [(True, "INFO"), (False, "WARNING")])
def test_what_strangers_ask_in_vain_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, known: bool, level: str
) -> None:
    caplog.set_level("INFO", "threadlab.audit")
    with closing(LabInside(tmp_path, token=TOKEN)) as lab:
        headers = {"Authorization": f"Bearer {TOKEN}"} if known else {}
        assert lab.http.post("/static/" + "%1b" * 500, headers=headers).status_code == 405
        lab.http.post("/login", data={"token": TOKEN})
    lines = [each for each in caplog.records if each.name == "threadlab.audit"]
    assert [each.levelname for each in lines] == [level, "INFO"]
    assert len(lines[0].getMessage()) < 300


def test_a_line_of_the_log_cannot_be_forged() -> None:
    form = EscapingFormatter("%(name)s %(message)s").format
    assert (
        form(record("from %s", "a\nthreadlab b\x1b[31m\u202e\x85"))
        == r"threadlab from a\nthreadlab b\x1b[31m\u202e\x85"
    )


@contextmanager
def sockets_of(lab: LabProcess, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), BOUND_S)) for _ in range(number)]


def test_a_viewer_is_a_connection_that_is_not_closed_for_others(tmp_path: Path) -> None:
    with closing(LabInside(tmp_path, most=4)) as lab, viewer(lab) as view, sockets_of(lab, 10):
        assert lab.get("/engines") == []
        assert isinstance(view, Viewer)
        view.frame()
        with connect(lab.url.replace("http", "ws") + "/ws/v1/live") as socket:
            assert socket.recv(BOUND_S)


# The children


def test_a_line_without_an_end_is_kept_in_pieces() -> None:
    async def flood() -> list[str]:
        child = Child.spawn([sys.executable, "-c", f"import os; os.write(2, b'x' * {3 * LINE_MAX} + b'end')"])
        await child.exited
        return list(child.log)

    lines = asyncio.run(flood())
    assert "".join(lines) == "x" * 3 * LINE_MAX + "end"
    assert max(map(len, lines)) < 3 * LINE_MAX
