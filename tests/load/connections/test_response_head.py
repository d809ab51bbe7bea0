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
    assert (head.status, head.status_line, head.total_bytes, head.closes) == (
        200,
        b"HTTP/1.1 200 OK\r\n",
        len(whole) + 5,
        True,
    )


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        b"x" * 40_000,
    ],
)
def test_an_invalid_head_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parse_head(data)
