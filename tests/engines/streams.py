"""Streams of requests that are nearly valid: valid seeds, then named mutations, then splits."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

HOST = b"Host: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _post(fields: bytes, body: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


SEEDS = (
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /healthz HTTP/1.1\r\nhost:a:80\r\nX-Long:  some  text\t\r\nY:\r\n\r\n",
    b"GET /nowhere?a=b HTTP/1.1\r\n" + HOST + b"User-Agent: x/1  (y; z)\r\nAccept: */*\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://a:80/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"DELETE / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    _post(b"Content-Length: 5\r\n", b"hello"),
    _post(b"Content-Length: 0\r\n", b""),
    _post(b"X: y\r\nContent-Length: 27\r\n", b"GET  / RTSP/1.1\r\nHost: a\r\n\r\n"),
    _post(b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"a\nb"),
    _post(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", b"hello"),
    _post(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    _post(CHUNKED, b"3\r\na\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    _post(CHUNKED, b'5;a=b;c="d e"\r\nhello\r\n1;x\r\n\n\r\n0;y\r\nX: y\r\nSum: 1\r\n\r\n'),
    b"PUT /echo HTTP/1.1\r\n" + CHUNKED + HOST + b"\r\n01\r\nx\r\n00\r\n\r\n",
)

NASTY = b'\0\t\n\x0b\r "#%,-/0:;=?@AHT[\\_x\x7f\x80\xff'
LENGTHS = (
    b"+5",
    b"-1",
    b"0x5",
    b"5_0",
    b"5, 5",
    b"5 5",
    b"",
    b"5.0",
    b"05",
    b"4",
    b"6",
    b"99999999",
    b"\xb2",
    b" 5\t",
)
CODINGS = (
    b"gzip",
    b"gzip, chunked",
    b"chunked, gzip",
    b"chunked,chunked",
    b"identity",
    b"",
    b"Chunked",
    b"chunked\t",
)
SIZES = (b"", b"-5", b"+5", b"0x5", b"5_", b" 5", b"5 ", b"5\t", b"g", b"00005", b"4", b"6", b"F" * 17, b"5h")
EXTENSIONS = (
    b";",
    b";;",
    b";a",
    b";=b",
    b";a=",
    b';a="b',
    b';a="b"',
    b';a="\\""',
    b" ;a",
    b"; a",
    b";a\n",
    b";\x01",
    b";a=b c",
)
HOSTS = (
    b"",
    b"a b",
    b"a,b",
    b"u@a",
    b"a:b",
    b"a:80",
    b"[::1]:1",
    b"[::1",
    b"a/b",
    b"\xe9",
    b"a\tb",
    b"A.b-c_~",
    b"a:80 ",
)
VERSIONS = (
    b"HTTP/1.2",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1.0",
    b"HTTP/1.10",
    b"HTTP/1",
    b"RTSP/1.1",
    b"HTP/1.1",
    b"",
)
TARGETS = (
    b"index",
    b"*",
    b"/a#b",
    b"/a b",
    b"/\xe9",
    b"/\x01",
    b"a:80",
    b"http://b/healthz",
    b"https://a/",
    b"http:///",
    b"http://u@a/",
    b"//",
    b"/%zz",
)
METHODS = (
    b"get",
    b"FETCH",
    b"GE T",
    b"",
    b"G@T",
    b"PRI",
    b"SOURCE",
    b"HEAD",
    b"PUT",
    b"OPTIONS",
    b"CONNECT",
    b"GETT",
)
OPTIONS = (
    b"close",
    b"Close, x",
    b"keep-alive",
    b"keep-alive, close",
    b"closed",
    b"upgrade",
    b'"close"',
    b",,",
)
FIELDS = (
    CHUNKED,
    b"Content-Length: 5\r\n",
    HOST,
    b"Host: b\r\n",
    b"X: y\r\n",
    b"Expect: 100-continue\r\n",
    b"Proxy-Connection: close\r\n",
    b"A b: c\r\n",
    b": c\r\n",
    b"X\r\n",
    b"X: a\x01b\r\n",
    b"X: \xe9\r\n",
)
TRAILERS = (
    b"X: y\r\n",
    b"Content-Length: 5\r\n",
    CHUNKED,
    HOST,
    b"Connection: close\r\n",
    b"X : y\r\n",
    b" X: y\r\n",
    b"X\r\n",
    b"X: y\n",
)
JUNK = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b"x",
    b" ",
    b"hello",
    b"0\r\n\r\n",
    b"GET",
    b"GET / HTTP/1.1\r\n",
)


def _at(draw: st.DrawFn, data: bytes) -> int:
    return draw(st.integers(0, max(0, len(data) - 1)))


def _swap(data: bytes, begin: int, end: int, new: bytes) -> bytes:
    return data[:begin] + new + data[end:]


def change_byte(draw: st.DrawFn, data: bytes) -> bytes:
    at = _at(draw, data)
    return _swap(data, at, at + 1, bytes([draw(st.one_of(st.sampled_from(NASTY), st.integers(0, 255)))]))


def insert_byte(draw: st.DrawFn, data: bytes) -> bytes:
    at = _at(draw, data)
    return _swap(data, at, at, bytes([draw(st.sampled_from(NASTY))]))


def delete_byte(draw: st.DrawFn, data: bytes) -> bytes:
    at = _at(draw, data)
    return _swap(data, at, at + 1, b"")


def _replace(pattern: bytes, values: tuple[bytes, ...]) -> Callable[[st.DrawFn, bytes], bytes]:
    """One of the places that match gets another value in its first group."""

    def mutate(draw: st.DrawFn, data: bytes) -> bytes:
        places = list(re.finditer(pattern, data))
        if not places:
            return data
        place = draw(st.sampled_from(places))
        return _swap(data, *place.span(1), draw(st.sampled_from(values)))

    return mutate


def double_line(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    return b"".join([*lines[:at], lines[at], *lines[at:]])


def drop_line(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[draw(st.integers(0, len(lines) - 1))]
    return b"".join(lines)


def swap_lines(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(draw(st.integers(0, len(lines))), lines.pop(draw(st.integers(0, len(lines) - 1))))
    return b"".join(lines)


def cut_short(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: _at(draw, data)]


def junk_behind(draw: st.DrawFn, data: bytes) -> bytes:
    return data + draw(st.sampled_from(JUNK))


def junk_before(draw: st.DrawFn, data: bytes) -> bytes:
    return draw(st.sampled_from(JUNK)) + data


MUTATIONS: dict[str, Callable[[st.DrawFn, bytes], bytes]] = {
    "change a byte": change_byte,
    "insert a byte": insert_byte,
    "delete a byte": delete_byte,
    "bare LF": _replace(rb"(\r\n)", (b"\n",)),
    "bare CR": _replace(rb"(\r\n)", (b"\r",)),
    "double a line": double_line,
    "drop a line": drop_line,
    "swap lines": swap_lines,
    "fold a line": _replace(rb"\r\n()", (b" ", b"\t", b" x\r\n")),
    "space before the colon": _replace(rb"(:)", (b" :", b"\t:", b"")),
    "space in the request line": _replace(rb"^[^\r\n]*?( )", (b"  ", b"\t", b"", b" \t", b"   ")),
    "another length": _replace(rb"Content-Length: ([^\r\n]*)", LENGTHS),
    "another coding": _replace(rb"Transfer-Encoding: ([^\r\n]*)", CODINGS),
    "another chunk size": _replace(rb"\r\n([0-9A-F]+)(?=[;\r])", SIZES),
    "an extension": _replace(rb"\r\n[0-9A-F]+(;?[^\r\n]*)(?=\r\n)", EXTENSIONS),
    "a trailer": _replace(rb"\r\n0[^\r]*\r\n()", TRAILERS),
    "another Host": _replace(rb"[Hh]ost: ?([^\r\n]*)", HOSTS),
    "another version": _replace(rb"^[^\r\n]* ([^ \r\n]*)\r\n", VERSIONS),
    "another target": _replace(rb"^[^ ]* ([^ ]*) ", TARGETS),
    "another method": _replace(rb"^([^ ]*) ", METHODS),
    "another option": _replace(rb"Connection: ([^\r\n]*)", OPTIONS),
    "one more field": _replace(
        rb"^[^\n]*\r\n()", (*FIELDS, *(b"Connection: " + o + b"\r\n" for o in OPTIONS))
    ),
    "cut short": cut_short,
    "junk behind": junk_behind,
    "junk before": junk_before,
}


class Stream(NamedTuple):
    data: bytes
    cuts: tuple[int, ...]
    mutations: tuple[str, ...]

    def pieces(self, whole_from: int | None = None) -> list[bytes]:
        """The data at its cuts; what begins at `whole_from` is not cut off."""
        most = len(self.data) if whole_from is None else whole_from
        places = sorted({0, len(self.data), *(cut for cut in self.cuts if cut < most)})
        return [self.data[a:b] for a, b in pairwise(places)]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    messages = draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=4))
    named = draw(st.lists(st.sampled_from(sorted(MUTATIONS)), max_size=3))
    for name in named:
        at = draw(st.integers(0, len(messages) - 1))
        if messages[at]:
            messages[at] = MUTATIONS[name](draw, messages[at])
    data = b"".join(messages)
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=4))
    return Stream(data, tuple(cuts), tuple(named))
