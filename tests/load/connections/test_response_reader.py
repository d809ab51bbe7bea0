"""Where a response ends: by its length, by its last chunk, without a body, or with the connection."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.connections.response_head import InvalidResponse
from app.load.connections.response_reader import BAD_BODY, BAD_LENGTH, ResponseReader
from app.load.connections.response_rule import ResponseRule

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"HTTP/1.1 200 OK\r\nContent-Le"  # what follows in a pipeline
LENGTH = HEAD + b"Content-Length: 5\r\n\r\nhello"


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return data, cut at these places."""
    return [data[a:b] for a, b in pairwise([0, *sorted(cuts), len(data)])]


def read(parts: Sequence[bytes], has_body: bool = True) -> tuple[ResponseReader, int | None]:
    """Return a reader and the number of the piece that completed the response; None: none did."""
    reader = ResponseReader()
    reader.rule = ResponseRule(has_body=has_body)
    for number, part in enumerate(parts):
        if reader.feed(part):
            return reader, number
    return reader, None


def chunked(parts: Sequence[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """Return a chunked response."""
    chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts if part]
    return CHUNKED + b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


COMPLETE = {
    "length": (LENGTH, True, 5),
    "no body by length": (HEAD + b"Content-Length: 0\r\n\r\n", True, 0),
    "chunked": (chunked([b"hel", b"lo"]), True, 5),
    "chunked, empty": (chunked([]), True, 0),
    "chunk extensions": (chunked([b"hello"], b";name=value"), True, 5),
    "trailers": (chunked([b"hello"], trailers=b"Server-Timing: a\r\nX: y\r\n"), True, 5),
    "chunk data that looks like an end": (chunked([b"0\r\n\r\n", b"\r\n"]), True, 7),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", True, 0),
    "304 with the length that it would have": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        True,
        0,
    ),
    "HEAD": (HEAD + b"Content-Length: 5\r\n\r\n", False, 0),
    "HEAD, chunked": (CHUNKED, False, 0),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH, True, 5),
    "103 before it": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH, True, 5),
}


@pytest.mark.parametrize("name", COMPLETE)
@given(data=st.data())
def test_a_response_in_any_pieces_is_complete_at_its_last_byte(name: str, data: st.DataObject) -> None:
    response, has_body, body_bytes = COMPLETE[name]
    stream = response + NEXT
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    parts = pieces(stream, cuts)
    reader, last = read(parts, has_body)
    assert last is not None and reader.head is not None and reader.head.status >= 200
    assert (reader.body_bytes, reader.total_bytes) == (body_bytes, len(response))
    assert sum(map(len, parts[:last])) < len(response), "it was complete before"
    assert reader.rest + b"".join(parts[last + 1 :]) == NEXT


@pytest.mark.parametrize("name", COMPLETE)
def test_a_response_without_its_last_byte_is_not_complete(name: str) -> None:
    response, has_body, _ = COMPLETE[name]
    reader, last = read([response[:-1]], has_body)
    assert last is None and not reader.ends_by_close


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (LENGTH, None),
        (chunked([b"hel", b"lo"]), None),
        (HEAD + b"Content-Length: 5\r\n\r\nhallo", BAD_BODY),
        (chunked([b"hel", b"LO"]), BAD_BODY),
        (chunked([b"hello", b"!"]), BAD_LENGTH),
        (HEAD + b"Content-Length: 4\r\n\r\nhell", BAD_LENGTH),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", "status_404"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@given(data=st.data())
def test_a_body_that_is_known_is_compared(response: bytes, error: str | None, data: st.DataObject) -> None:
    reader = ResponseReader()
    reader.rule = ResponseRule(body=b"hello")
    cuts = data.draw(st.lists(st.integers(0, len(response)), max_size=4))
    assert [reader.feed(part) for part in pieces(response, cuts) if part][-1]
    assert reader.error == error


@pytest.mark.parametrize(
    ("response", "has_body", "is_repeatable"),
    [
        (LENGTH, True, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, True),
        (HEAD + b"Content-Length: 5\r\n\r\n", False, True),
        (chunked([b"hello"]), True, False),
        (HEAD + b"\r\nhello", True, False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + LENGTH, True, False),
    ],
    ids=["length", "204", "HEAD", "chunked", "until close", "after an interim response"],
)
def test_the_head_alone_shows_the_length_of_some_responses(
    response: bytes, has_body: bool, is_repeatable: bool
) -> None:
    reader, _ = read([response], has_body)
    assert reader.is_repeatable == is_repeatable


def test_many_small_chunks_are_one_body() -> None:
    reader = ResponseReader()
    assert reader.feed(chunked([b"x"] * 50_000))
    assert reader.body_bytes == 50_000


def test_a_switch_of_protocols_is_refused() -> None:
    with pytest.raises(InvalidResponse):
        ResponseReader().feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")


def test_a_reader_is_used_again() -> None:
    reader = ResponseReader()
    for response in (chunked([b"hello"]), LENGTH, chunked([b"a", b"b"])):
        assert reader.feed(response)
        assert reader.total_bytes == len(response) and reader.rest == b""
        reader.reset()


def test_a_body_without_length_ends_with_the_connection() -> None:
    head = HEAD + b"Server: x\r\n\r\n"
    reader, last = read([head + b"hel", b"lo"])
    assert last is None and reader.ends_by_close
    assert (reader.body_bytes, reader.total_bytes) == (5, len(head) + 5)


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5 5\r\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"fffffffffffffffff\r\n",
        b"5" + b";" * 2000,
        b"0\r\nnot a field\r\n\r\n",
        b"0\r\nX: " + b"x" * 40_000,
    ],
)
def test_an_invalid_chunked_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        ResponseReader().feed(CHUNKED + body)
