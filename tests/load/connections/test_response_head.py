"""Parsing the head of a response."""

from __future__ import annotations

import pytest

from app.load.connections.response_head import InvalidResponse, parse_head


def test_a_head_is_parsed_only_when_it_is_complete() -> None:
    whole = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-LENGTH: 5\r\nConnection: Close\r\n\r\n"
    for cut in range(len(whole)):
        assert parse_head(whole[:cut]) is None
    head = parse_head(whole + b"hello")
    assert head is not None
    assert (head.status, head.status_line, head.raw, head.body_bytes, head.closes) == (
        200,
        b"HTTP/1.1 200 OK\r\n",
        whole,
        5,
        True,
    )


@pytest.mark.parametrize(
    ("version", "fields", "closes"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: keep-alive, close\r\n", True),
        ("1.0", "", True),
        ("1.0", "Connection: Keep-Alive\r\n", False),
    ],
)
def test_the_connection_field_is_a_list_of_options(version: str, fields: str, closes: bool) -> None:
    head = parse_head(f"HTTP/{version} 200 OK\r\nContent-Length: 1\r\n{fields}\r\n".encode())
    assert head is not None and head.closes == closes


@pytest.mark.parametrize(
    ("fields", "body_bytes", "is_chunked"),
    [
        ("", None, False),
        ("Content-Length: 7\r\nContent-Length: 7\r\n", 7, False),
        ("Transfer-Encoding: Chunked\r\n", None, True),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", None, True),
        ("Transfer-Encoding: chunked, gzip\r\n", None, False),
    ],
)
def test_the_fields_say_where_the_body_ends(fields: str, body_bytes: int | None, is_chunked: bool) -> None:
    head = parse_head(f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode())
    assert head is not None and (head.body_bytes, head.is_chunked) == (body_bytes, is_chunked)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        b"x" * 40_000,
    ],
)
def test_an_invalid_head_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parse_head(data)
