"""Requests that must be refused: by `Inbox`, and so by every engine. After the answer the connection closes."""

from __future__ import annotations

from typing import NamedTuple


class Malformed(NamedTuple):
    name: str
    data: bytes
    statuses: tuple[int, ...] = (400,)


def _head(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return _head(*lines, first=b"POST /echo HTTP/1.1") + body


def _chunks(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", body=body)


def _length(value: bytes) -> Malformed:
    return Malformed(f"Content-Length {value!r}", _post(b"Content-Length: " + value, body=b"hello"))


def _coding(value: bytes, body: bytes = b"0\r\n\r\n") -> Malformed:
    return Malformed(f"Transfer-Encoding {value!r}", _post(b"Transfer-Encoding: " + value, body=body), (400, 501))


def _host(value: bytes) -> Malformed:
    return Malformed(f"Host {value!r}", _head(host=b"Host: " + value))


FRAMING = (
    Malformed("Content-Length and Transfer-Encoding", _post(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    Malformed("Transfer-Encoding and Content-Length", _post(b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    Malformed("unequal Content-Lengths", _post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
    Malformed("equal Content-Lengths", _post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    *map(_length, (b"+5", b"-1", b"0x5", b"5_0", b"5, 5", b"5 5", b"", b"five", b"5.0", b"\xb2")),
    *map(_coding, (b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"identity", b"xchunked", b"")),
    Malformed("chunked said twice", _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    Malformed("chunked in HTTP/1.0", _head(b"Transfer-Encoding: chunked", first=b"POST /echo HTTP/1.0") + b"0\r\n\r\n"),
)
LINES = (
    Malformed("bare LF", b"GET / HTTP/1.1\nHost: a\n\n"),
    Malformed("bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    Malformed("bare LF at the end of the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    Malformed("bare CR in a value", _head(b"X: a\rb")),
    Malformed("bare CR after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    Malformed("folded line", _head(b"X: a", b" b")),
    Malformed("folded line by a tab", _head(b"X: a", b"\tb")),
    Malformed("first field begins with a space", _head(host=b" Host: a")),
    Malformed("space before the colon", _head(b"X : a")),
    Malformed("tab before the colon", _head(b"X\t: a")),
    Malformed("no colon", _head(b"X")),
    Malformed("no field name", _head(b": a")),
    Malformed("space in a field name", _head(b"X Y: a")),
    Malformed("NUL in a value", _head(b"X: a\0b")),
    Malformed("control byte in a value", _head(b"X: a\x01b")),
    Malformed("DEL in a value", _head(b"X: a\x7fb")),
    Malformed("NUL in a field name", _head(b"X\0: a")),
    Malformed("byte over 127 in a field name", _head(b"X\xe9: a")),
)
HOSTS = (
    Malformed("no Host", _head(host=b"")),
    Malformed("two Hosts", _head(b"Host: a")),
    Malformed("two different Hosts", _head(b"Host: b")),
    *map(_host, (b"a b", b"a,b", b"a/b", b"a?b", b"a@b", b"a\\b")),
)
FIRST_LINES = (
    Malformed("HTTP/2.0", _head(first=b"GET / HTTP/2.0"), (505,)),
    Malformed("HTTP/0.9 said in full", _head(first=b"GET / HTTP/0.9"), (400, 505)),
    Malformed("HTTP/0.9", b"GET /\r\n"),
    Malformed("HTTP/1.2 is not known", _head(first=b"GET / HTTP/1.2"), (400, 505)),
    Malformed("HTTP/1.10", _head(first=b"GET / HTTP/1.10")),
    Malformed("HTTP/1", _head(first=b"GET / HTTP/1")),
    Malformed("HTP/1.1", _head(first=b"GET / HTP/1.1")),
    Malformed("http/1.1", _head(first=b"GET / http/1.1")),
    Malformed("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    Malformed("tab instead of a space", _head(first=b"GET\t/ HTTP/1.1")),
    Malformed("space at the end of the line", _head(first=b"GET / HTTP/1.1 ")),
    Malformed("space in the target", _head(first=b"GET /a b HTTP/1.1")),
    Malformed("control byte in the target", _head(first=b"GET /\x01 HTTP/1.1")),
    Malformed("DEL in the target", _head(first=b"GET /\x7f HTTP/1.1")),
    Malformed("no slash", _head(first=b"GET index HTTP/1.1")),
    Malformed("no target", _head(first=b"GET HTTP/1.1")),
    Malformed("method in lower case", _head(first=b"get / HTTP/1.1"), (400, 501)),
    Malformed("method that is no token", _head(first=b"G@T / HTTP/1.1")),
    Malformed("method that is not known", _head(first=b"FETCH / HTTP/1.1"), (400, 405, 501)),
    Malformed("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
)
CHUNKS = (
    Malformed("chunk size that is not hexadecimal", _chunks(b"g\r\n")),
    Malformed("chunk size with a sign", _chunks(b"+5\r\nhello\r\n0\r\n\r\n")),
    Malformed("negative chunk size", _chunks(b"-5\r\nhello\r\n0\r\n\r\n")),
    Malformed("chunk size 0x5", _chunks(b"0x5\r\nhello\r\n0\r\n\r\n")),
    Malformed("empty chunk size", _chunks(b"\r\nhello\r\n0\r\n\r\n")),
    Malformed("chunk size of more than 64 bits", _chunks(b"1" + b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n"), (400, 413)),
    Malformed("space after the chunk size", _chunks(b"5 \r\nhello\r\n0\r\n\r\n")),
    Malformed("space before the chunk size", _chunks(b" 5\r\nhello\r\n0\r\n\r\n")),
    Malformed("bare LF after the chunk size", _chunks(b"5\nhello\r\n0\r\n\r\n")),
    Malformed("bare LF after the chunk", _chunks(b"5\r\nhello\n0\r\n\r\n")),
    Malformed("chunk longer than its size", _chunks(b"4\r\nhello\r\n0\r\n\r\n")),
    Malformed("no CRLF after the chunk", _chunks(b"5\r\nhello0\r\n\r\n")),
    Malformed("bare LF in a chunk extension", _chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    Malformed("bare LF after the last chunk", _chunks(b"0\n\r\n")),
    Malformed("bare LF after a trailer", _chunks(b"0\r\nX: y\n\r\n")),
)
# Not refused: RFC 9112 3 lets a recipient split the request line at runs of spaces, and llhttp does. The framing is
# not touched by it. To be strict here, move these to FIRST_LINES.
LENIENT = (
    Malformed("two spaces before the target", _head(first=b"GET  / HTTP/1.1"), (200,)),
    Malformed("two spaces before the version", _head(first=b"GET /  HTTP/1.1"), (200,)),
)
MALFORMED = (*FRAMING, *LINES, *HOSTS, *FIRST_LINES, *CHUNKS)
