"""Limits of request heads and chunked bodies, which are checked while reading."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import httpx
import pytest

from app.web.h11_connection import BYTES_PER_CHUNK, CHUNKS_FREE, HEAD_MAX
from app.web.http_protocol import TIMEOUT_S, Phase
from tests.app.driver import LabProcess, until
from tests.app.web.served import Served, head, read_all, read_status
from tests.app.web.test_security import assert_security_headers
from tests.waiting import BOUND_S


@pytest.mark.parametrize(
    "parts",
    [[b"x: " + b"y" * (HEAD_MAX + 20_000)], [b"a: " + b"b" * 500 + b"\r\n"] * 200, [b"c" * 1000] * 90],
    ids=["one field", "many fields", "in pieces"],
)
def test_a_head_of_more_than_64_kib_is_refused_while_it_is_read(served: Served, parts: list[bytes]) -> None:
    sock = served.connect(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    with suppress(ConnectionResetError, BrokenPipeError):  # closed before the end of the head
        for part in parts:
            sock.sendall(part)
    response = read_all(sock)
    assert response.startswith(b"HTTP/1.1 431 ") or not response  # a reset may have discarded it
    until(lambda: not served.connections, "the connection is closed")


def test_the_431_response_has_a_problem_body_and_all_security_headers(lab: LabProcess) -> None:
    with socket.create_connection(("127.0.0.1", lab.port), BOUND_S) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (HEAD_MAX + 1))
        lines, _, body = read_all(sock).decode().partition("\r\n\r\n")
    status, *fields = lines.split("\r\n")
    assert status.startswith("HTTP/1.1 431 ") and "64 KiB" in json.loads(body)["detail"]
    pairs = (field.partition(": ") for field in fields)
    assert_security_headers(httpx.Response(431, headers=[(name, value) for name, _, value in pairs]))


def test_a_head_just_below_the_limit_is_served(served: Served) -> None:
    with served.connect(head(more=f"x: {'y' * (HEAD_MAX - 100)}\r\n")) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(("number", "status"), [(98, b"200"), (101, b"431")])
def test_a_head_has_at_most_100_fields(served: Served, number: int, status: bytes) -> None:
    with served.connect(head(more="Connection: close\r\n" + "a:\r\n" * number)) as sock:
        assert read_status(sock).startswith(b"HTTP/1.1 " + status)


def test_the_limits_also_apply_to_later_requests_on_a_connection(served: Served) -> None:
    many = head(more="a:\r\n" * 200)
    responses = read_all(served.connect(head() + many))  # pipelined
    assert responses.count(b"\r\n\r\nserved") == 1 and responses.count(b"HTTP/1.1 431") == 1
    chunks = head("POST /body", "Transfer-Encoding: chunked\r\n") + b"1\r\na\r\n" * (CHUNKS_FREE + 2)
    assert read_all(served.connect(head() + chunks)).count(b"HTTP/1.1 400") == 1
    with served.connect(head()) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(many)  # after the first response
        assert read_all(sock).startswith(b"HTTP/1.1 431 ")


def test_a_complete_head_over_64_kib_is_refused(served: Served) -> None:
    assert read_all(served.connect(head(more=f"x: {'y' * HEAD_MAX}\r\n"))).startswith(b"HTTP/1.1 431 ")


def test_content_length_with_transfer_encoding_is_refused(served: Served) -> None:
    both = head("POST /body", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n"
    assert read_all(served.connect(both)).startswith(b"HTTP/1.1 400 ")


def test_newlines_in_a_chunk_are_not_counted_as_chunks(served: Served) -> None:
    body = b"%x\r\n" % 5000 + b"\n" * 5000 + b"\r\n0\r\n\r\n"
    with served.connect(head("POST /body", "Transfer-Encoding: chunked\r\n") + body) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "line", [b"1;" + b"x" * 600 + b"\r\na\r\n", b"0\r\n" + b"a: b\r\n" * 200], ids=["size", "trailers"]
)
def test_chunk_size_lines_and_trailers_are_limited(served: Served, line: bytes) -> None:
    sock = served.connect(head("POST /body", "Transfer-Encoding: chunked\r\n") + line)
    assert read_all(sock).startswith(b"HTTP/1.1 400 ")


def test_newlines_in_a_body_are_not_counted_as_fields(served: Served) -> None:
    with served.connect(head("POST /body", "Content-Length: 500\r\n") + b"\n" * 500) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("path", ["/body", "/"], ids=["read", "unread"])
def test_one_byte_chunks_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    # Long timeouts, so that it is the limit that closes the connection.
    monkeypatch.setitem(TIMEOUT_S, Phase.UNREAD_BODY, 2 * BOUND_S)
    monkeypatch.setitem(TIMEOUT_S, Phase.BODY, 2 * BOUND_S)
    sock = served.connect(head(f"POST {path}", "Transfer-Encoding: chunked\r\n"))
    with suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(b"1\r\na\r\n" * (CHUNKS_FREE + 2))
    read_all(sock)
    until(lambda: not served.connections, "the connection is closed")


def test_larger_chunks_are_accepted_and_the_count_restarts_with_each_request(served: Served) -> None:
    small, large = (
        b"1\r\na\r\n" * (CHUNKS_FREE - 1),
        b"%x\r\n%b\r\n" % (BYTES_PER_CHUNK, b"a" * BYTES_PER_CHUNK) * 500,
    )
    body = small + large + b"0\r\n\r\n"
    with served.connect() as sock:
        for _ in range(3):
            sock.sendall(head("POST /body", "Transfer-Encoding: chunked\r\n") + body)
            assert read_status(sock) == b"HTTP/1.1 200 OK"


def test_pipelined_requests_and_single_byte_reads_work(served: Served) -> None:
    request = head("POST /body", "Content-Length: 3\r\n") + b"abc"
    with served.connect(request * 3 + head(more="Connection: close\r\n")) as sock:
        assert read_all(sock).count(b"served") == 4
    with served.connect() as sock:
        for byte in request:
            sock.sendall(bytes([byte]))
        assert read_status(sock) == b"HTTP/1.1 200 OK"


def test_bytes_that_are_not_http_get_400(served: Served) -> None:
    assert read_all(served.connect(b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
