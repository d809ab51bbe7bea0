"""The parser for applications keeps a bounded number of header fields."""

from __future__ import annotations

from engines.common.http.head_keeping_parser import HeadKeepingParser
from engines.common.http.limits import HEADER_COUNT_LIMIT

HEAD = b"GET / HTTP/1.1\r\nHost: engine\r\n"


def test_a_head_without_an_end_is_not_kept() -> None:
    parser = HeadKeepingParser()
    parser.feed(HEAD + b"a:\r\n" * 10_000)
    assert len(parser._kept_fields) <= HEADER_COUNT_LIMIT + 1


def test_as_many_fields_as_are_allowed_are_kept() -> None:
    parser = HeadKeepingParser()
    fields = [b"a%d" % number for number in range(HEADER_COUNT_LIMIT - 1)]
    [request] = parser.feed(HEAD + b"".join(b"%b: 1\r\n" % name for name in fields) + b"\r\n")
    assert request.rejection is None
    assert [name for name, _ in request.head.fields] == [b"Host", *fields]
