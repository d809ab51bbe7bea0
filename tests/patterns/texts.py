"""Texts that are the worst case for a regular expression or a parser.

Each is a function of the length: a long run of what the expression repeats, a run that ends in a mismatch, or
a near-match.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from app.machine import syscalls
from app.web.authentication import COOKIE

Text = Callable[[int], Any]


def repeated(unit: str, before: str = "", after: str = "") -> Text:
    """Return a text: `before`, as many `unit` as fit into n characters, `after`."""
    return lambda n: before + unit * (n // len(unit)) + after


def octets(unit: bytes, before: bytes = b"", after: bytes = b"") -> Text:
    """Do the same for bytes."""
    return lambda n: before + unit * (n // len(unit)) + after


BLANKS = tuple(
    repeated(unit, before, after)
    for unit in (" ", "\n", "\t ", "\n ", "\r\n")
    for before, after in (
        ("", ""),
        ("", "!"),
        ("5", "!"),
        ("5s", "!"),
        ("5s:5", "x"),
        ("5s:5,", "x"),
        ("5 sleep", "!"),
    )
)
STAGES = (
    *BLANKS,
    repeated("1"),
    repeated("1", after="!"),
    repeated("1."),
    repeated(",1", "1s:1", "!"),
    repeated("1s:1,"),
    repeated(",1 s"),
    repeated(", ,", "5s:5"),
    repeated(";\n", "5s:5", "x"),
    repeated(",.", "5s:5", " s"),
    repeated(", 1", "5s:5", " min"),
    repeated("1,", "5s:"),
    repeated("1" * 50 + "\n"),
    repeated(".", "5s:5,", " s!"),
)
GROUPS = (
    *BLANKS,
    repeated("1"),
    repeated("1", "think "),
    repeated("1", "1.", " ms"),
    repeated("a:1 connection;"),
    repeated("1 req/s,", "a:", "!"),
    repeated(",", "a:"),
    repeated(":"),
    repeated("churn\n"),
)
HTTP_WORK = (
    repeated(" ", "5", "http /"),
    repeated(" ", "5% http", "x"),
    repeated(" ", "http GET", "x"),
    repeated("x", "9% http GET /", " "),
    repeated("X", "http "),
)
HEADER_VALUES = (repeated("a"), repeated(" ", "a"), repeated("\t ", "a", "a"), repeated("a ", after="\n"))
REQUEST_PATHS = (repeated("/"), repeated("/a", after=" "), repeated("a", "/", "#"))
TOKENS = (repeated("a"), repeated("-"), repeated("a", after=":"))
WORK = (
    *BLANKS,
    repeated("a", "5 "),
    repeated("a", "5 ", "!"),
    repeated("1", after=" x"),
    repeated(" %", "5"),
    repeated(" ", "5%", "!"),
    repeated(" ", "5 % sleep 5", "!"),
    repeated("5 sleep 5ms,"),
    repeated("5,"),
)
CONDITIONS = (
    *BLANKS,
    repeated(" ", "p(99)<20", "!"),
    repeated(" ", "p(99)", "!"),
    repeated(" ", "p(99)<", "!"),
    repeated("a", "rate<", "!"),
    repeated("s", "rate<"),
    repeated("_", "rate<", " x"),
    repeated("1", "rate<"),
    repeated(" ", "", "rate<5 x"),
    repeated("p(", after="99)<1"),
    repeated(" ", "verdict==noisy", "x"),
)
WRK = (
    *BLANKS,
    repeated("1"),
    repeated("1", after=" requests out"),
    repeated("\n 1"),
    repeated(" 1 requests in "),
    repeated("\n5 requests in 1.1"),
    repeated("1.", "5 requests in ", "x"),
    repeated("Latency "),
    repeated(" ", "Latency", "x"),
    repeated("\n", "Latency", "x"),
    repeated("\nLatency\n"),
    repeated("1.1us ", "Latency "),
    repeated("1.", "Latency ", "!"),
    repeated("\n", "50% 1us", "x"),
    repeated(" ", "50% 1us", "x"),
    repeated("50%\n"),
    repeated("50%" + " " * 40),
    repeated("\n", "50%", "x"),
    repeated("1.", after="% 1us"),
    repeated("50% 1us\n"),
    repeated(" ", "Requests/sec:", "x"),
    repeated("Requests/sec:\n"),
    repeated("1.", "Requests/sec: ", "!"),
    repeated("\nSocket errors: connect 1, read 1"),
    repeated("1", "Socket errors: connect ", "!"),
    repeated("\n Non-2xx or 3xx responses: "),
    repeated("\n \n\t"),
)
NAMES = (
    repeated("p1"),
    repeated("1", "p"),
    repeated("1", "p", "!"),
    repeated("1.", "p"),
    repeated("p(", "p"),
)
PATHS = (
    repeated("/"),
    repeated("/a", after="\n"),
    repeated("a", "/", " "),
    repeated("/" + "a" * 30, after="é"),
)
HTTP = (
    octets(b"A"),
    octets(b"A-", after=b" "),
    octets(b"a", b"GET /"),
    octets(b"a", b"GET /", b" HTTP/1.1\n"),
    octets(b" ", b"GET"),
    octets(b" HTTP/1.1", b"GET /"),
    octets(b"%41"),
    octets(b"%4"),
    octets(b"a%4a", after=b","),
    octets(b"1", b"a:"),
    octets(b":", b"["),
    octets(b":", b"[", b"]x"),
    octets(b"1", b"[v1.", b"!"),
    octets(b"f", b"[v"),
    octets(b"://"),
    octets(b"a", b"", b"://"),
    octets(b"a", b"http://", b"/"),
    octets(b"."),
    octets(b"A", after=b"://a"),
)
CHUNKS = (
    octets(b"f"),
    octets(b"f", after=b"!"),
    octets(b";a", b"5"),
    octets(b";a=b", b"5", b"!"),
    octets(b";a=", b"5"),
    octets(b'"', b"5;a="),
    octets(b"a", b'5;a="'),
    octets(b"\\a", b'5;a="', b"\r\n"),
    octets(b"\\", b'5;a="'),
    octets(b'\\"', b'5;a="'),
    octets(b'="a"', b"5;a"),
    octets(b";", b"5"),
    octets(b"a", b"5;", b"=\r\n"),
)
TEXT = (repeated("a"), repeated("\x00"), repeated("\t"), repeated("é"), repeated("\ud800"))
EVENTS = (
    repeated("1"),
    repeated("1", after="," + syscalls.EVENT),
    repeated("a", "1,"),
    repeated(",", "1"),
    repeated("a", "1,", "," + syscalls.EVENT),
    repeated("1,"),
)
URLS = (
    repeated("/"),
    repeated("a", "/"),
    repeated("/a"),
    repeated("a", "/static/"),
    repeated("a/", "/static/", "\n"),
    repeated("1", "/api/v1/runs/"),
    repeated("1", "/api/v1/runs/", "/diff/1"),
    repeated("/1", "/api/v1/runs"),
    repeated("a", "/api/v1/engines/", "/log"),
    repeated("a", "/models/", "/now"),
    repeated("\n", "/runs/", "/again"),
)
TEMPLATES = (repeated("{"), repeated("{a}"), repeated("a", "{"), repeated("{a"))


def jsons(make: Callable[[int], Any]) -> Text:
    """Return a text: the JSON of what `make` returns."""
    return lambda n: json.dumps(make(n))


OHA: dict[str, Any] = {"summary": {"total": 1}, "latencyPercentiles": {}, "errorDistribution": {}}
JSONS = (
    *WRK,
    repeated("["),
    repeated('{"a":'),
    repeated("1"),
    repeated('"'),
    repeated("\\", '"'),
    repeated("[1,"),
    jsons(lambda n: {**OHA, "statusCodeDistribution": {str(i): 1 for i in range(n // 8)}}),
    jsons(lambda n: {"results": {"metrics": [{"name": str(i), "values": {}} for i in range(n // 32)]}}),
    jsons(lambda n: {"results": {"metrics": [{"name": "a", "values": {f"p{i}": 1 for i in range(n // 8)}}]}}),
    jsons(lambda n: {"results": {"metrics": [{"name": "a", "values": {"p" + "1" * n: 1}}]}}),
)

COOKIES = (
    repeated('\\"', 'a="', '"'),
    repeated(";"),
    repeated("a=b; "),
    repeated(f"{COOKIE} "),
    repeated("\\101", 'a="'),
)

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

HEAD = b"GET / HTTP/1.1\r\na:"
HEADS = (
    octets(b" ", HEAD, b"\0\r\n\r\n"),
    octets(b"\t", HEAD, b"\0\r\n\r\n"),
    octets(b" x", HEAD, b"\0\r\n\r\n"),
    octets(b"a:\r\n", HEAD),
    octets(b" \r\n", HEAD),
    octets(b" ", b"GET", b"/"),
    octets(b"a", b"GET /"),
    octets(b"\n"),
    octets(b"\r\n"),
)
CHUNK_LINES = (
    octets(b" ", b"1;", b"\nx\r\n"),
    octets(b" ", b"0\r\na:", b"\0\r\n"),
    octets(b"1\r\na\r\n"),
    octets(b"0"),
    octets(b"1;a\r\nb\r\n"),
    octets(b"\n", b"1"),
)
