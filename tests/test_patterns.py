"""Every pattern of app/ and engines/ takes time in proportion to the text, and so does what reads a user's text.

Two tables name the texts that would be worst for each pattern and each reader: long runs of what it repeats,
runs that end in a mismatch, and near-matches. A walk over the sources fails for a pattern that has no row.
What is compared is the growth of the CPU time of this thread, the best of several trials, so that a busy
machine changes nothing: with 4 times the text a linear pattern takes 4 times as long, a quadratic one 16
times. The lengths begin so small, and the test ends so early, that an exponential pattern fails it within a
second as well.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h11
import pytest

from app import streams, templating
from app.errors import Invalid
from app.imports import parsers, wrk
from app.machine import syscalls
from app.pages import compare_form, forms, load_form, routes
from app.plans import text, thresholds
from app.plans.thresholds import Threshold
from app.report import junit, series_csv
from app.web.authentication import COOKIE, cookie_value
from app.web.deps import IdConvertor
from app.web.h11_connection import BoundedConnection
from app.web.small_reads import READ_MAX
from engines.common.http import strict
from tests.app.driver import app_without_lab

ROOT = Path(__file__).parent.parent
FUNCTIONS = frozenset(
    ("compile", "match", "fullmatch", "search", "split", "sub", "subn", "findall", "finditer")
)
KIB = 1024
LENGTHS = (16, 20, 24, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB)
SLACK = 2.5  # a step of 4 times the text may take 10 times as long
FORGIVEN_NS = 300_000  # of one step: what is shorter is noise
TRIALS = 3

Text = Callable[[int], Any]
Use = Callable[[Any], object]
Row = tuple[Use, tuple[Text, ...]]


def repeated(unit: str, before: str = "", after: str = "") -> Text:
    """`before`, `unit` as often as fits into n characters, `after`."""
    return lambda n: before + unit * (n // len(unit)) + after


def octets(unit: bytes, before: bytes = b"", after: bytes = b"") -> Text:
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


def request(data: bytes) -> None:
    """What the control plane does with what comes, until it refuses it; in pieces as they are read."""
    connection = BoundedConnection()
    with contextlib.suppress(h11.RemoteProtocolError):
        for start in range(0, len(data), READ_MAX):
            connection.receive_data(data[start : start + READ_MAX])
            while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                pass


def of(pattern: str | re.Pattern[Any], how: str, texts: tuple[Text, ...], flags: int = 0) -> Row:
    """A pattern, and how it is used: `fullmatch`, `search` …"""
    return getattr(re.compile(pattern, flags), how), texts


# By the file and the name that the pattern has there, or else the pattern as it stands there.
PATTERNS: dict[str, Row] = {
    "app/web/deps.py regex": of(IdConvertor.regex, "fullmatch", (repeated("1"), repeated("1", after="x"))),
    r'app/machine/syscalls.py rf"(\d+),[^,]*,{EVENT}"': of(rf"(\d+),[^,]*,{syscalls.EVENT}", "match", EVENTS),
    "app/plans/thresholds.py _GRAMMAR": of(thresholds._GRAMMAR, "fullmatch", CONDITIONS),
    r'app/main.py r"\{\w+\}"': of(r"\{\w+\}", "split", TEMPLATES),
    "app/main.py pattern": of("/api/v1/runs/[^/]+/diff/[^/]+", "fullmatch", URLS),
    "app/plans/text.py _BLANKS": of(text._BLANKS, "split", STAGES),
    "app/plans/text.py _NEXT_STAGE": of(text._NEXT_STAGE, "split", STAGES),
    "app/plans/text.py _STAGE": of(text._STAGE, "fullmatch", STAGES),
    "app/plans/text.py _WORK": of(text._WORK, "fullmatch", WORK),
    r'app/format.py r"p\d+"': of(r"p\d+", "fullmatch", NAMES),
    r'app/templating.py r"\n\s*\n"': of(r"\n\s*\n", "split", BLANKS),
    "app/pages/routes.py _OWN_PATH": of(routes._OWN_PATH, "fullmatch", PATHS),
    r'app/imports/k6.py r"^p(\d+(?:\.\d+)?)$"': of(r"^p(\d+(?:\.\d+)?)$", "search", NAMES),
    "app/report/series_csv.py _FORMULA": of(series_csv._FORMULA, "split", (*TEXT, *BLANKS, repeated(";  "))),
    "app/imports/wrk.py _MAX": of(wrk._MAX, "search", WRK),
    "app/imports/wrk.py _PERCENTILE": of(wrk._PERCENTILE, "findall", WRK),
    "app/imports/wrk.py _RATE": of(wrk._RATE, "search", WRK),
    "app/imports/wrk.py _SOCKETS": of(wrk._SOCKETS, "search", WRK),
    "app/imports/wrk.py _STATUS": of(wrk._STATUS, "search", WRK),
    "app/imports/wrk.py _TOTAL": of(wrk._TOTAL, "search", WRK),
    "app/report/junit.py _NOT_XML": of(junit._NOT_XML, "split", TEXT),
    r'app/settings.py r"(/[A-Za-z0-9._~-]+)+"': of(r"(/[A-Za-z0-9._~-]+)+", "fullmatch", PATHS),
    "app/streams.py _CONTROLS": of(streams._CONTROLS, "split", (*TEXT, repeated("\r"), repeated("\x1b"))),
    "engines/common/http/strict.py _ABSOLUTE": of(strict._ABSOLUTE, "match", HTTP),
    "engines/common/http/strict.py _CHUNK_LINE": of(strict._CHUNK_LINE, "fullmatch", CHUNKS),
    "engines/common/http/strict.py _HOST": of(strict._HOST, "fullmatch", HTTP),
    "engines/common/http/strict.py _REQUEST_LINE": of(strict._REQUEST_LINE, "fullmatch", HTTP),
    "engines/common/http/strict.py is_plain_request_line": (strict.is_plain_request_line, HTTP),
}
# What reads a text of a user, a file or a tool, whatever it reads it with.
READERS: dict[str, Row] = {
    "stages": (text.parse_stages, STAGES),
    "work": (text.parse_work, WORK),
    "a threshold": (Threshold.parse, CONDITIONS),
    "the load form": (
        lambda text: load_form.run_request({"thresholds": text, "then": text, "vus": text}),
        (*STAGES, *WORK),
    ),
    "knobs on a line": (compare_form._knobs, (*BLANKS, repeated("a=1 "), repeated("a,"), repeated("="))),
    "the number of a run": (forms.number_of, (repeated("1"), repeated("a"))),
    "wrk": (parsers.READERS["wrk"], WRK),
    "oha": (parsers.READERS["oha"], JSONS),
    "k6": (parsers.READERS["k6"], JSONS),
    "a docstring": (
        lambda text: list(templating.doc_parts(text)),
        (*BLANKS, repeated("`"), repeated("a\n\n")),
    ),
    "the host of a request": (strict.is_host, HTTP),
    "a request's head": (request, HEADS),
    "a chunked body": (lambda text: request(CHUNKED + text), CHUNK_LINES),
    "a cookie": (lambda text: cookie_value(text, COOKIE), COOKIES),
}


def cost_ns(use: Use, text: Any) -> int:
    """CPU time of this thread, the best of some trials."""
    found = []
    for _ in range(TRIALS):
        began = time.thread_time_ns()
        with contextlib.suppress(Invalid, ValueError):
            use(text)
        found.append(time.thread_time_ns() - began)
    return min(found)


def too_fast_growth(use: Use, make: Text) -> str | None:
    """The first step at which the time grows too fast, in words; None: there is none."""
    costs = [cost_ns(use, make(LENGTHS[0]))]
    for short, long in pairwise(LENGTHS):
        costs.append(cost_ns(use, make(long)))
        if costs[-1] > SLACK * (long / short) * costs[-2] + FORGIVEN_NS:
            return f"{short} characters take {costs[-2] / 1000:,.0f} µs, and {long:,} take {costs[-1] / 1000:,.0f} µs"
    return None


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Garbage collection would be in the time of whatever it happens to begin in."""
    gc.disable()
    yield
    gc.enable()


def uses(source: str, file: str) -> Iterator[str]:
    """Every pattern of a file: by the name that it is given, or else as it stands."""
    tree = ast.parse(source)
    named = {id(inner): name for name, value in assignments(tree) for inner in ast.walk(value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            yield f"{file} from re import"  # the walk would not find what it is called by
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and is_re(node.func):
                yield f"{file} {named.get(id(node)) or ast.get_source_segment(source, node.args[0])}"
            for keyword in node.keywords:
                if keyword.arg in ("pattern", "regex"):
                    yield f"{file} {ast.get_source_segment(source, keyword.value)}"
    yield from (f"{file} {name}" for name, _ in assignments(tree) if name == "regex")


def assignments(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names of modules and classes, and what they are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                    yield each.targets[0].id, each.value


def is_re(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "re" and function.attr in FUNCTIONS


def test_every_pattern_has_a_row_here() -> None:
    files = sorted(file for folder in ("app", "engines") for file in (ROOT / folder).rglob("*.py"))
    found = {use for file in files for use in uses(file.read_text(), str(file.relative_to(ROOT)))}
    assert len(files) > 100
    assert sorted(found) == sorted(PATTERNS)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_time_in_proportion_to_the_text(name: str) -> None:
    use, texts = PATTERNS[name]
    for make in texts:
        assert not (growth := too_fast_growth(use, make)), f"{make(24)!r}: {growth}"


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_time_in_proportion_to_the_text(name: str) -> None:
    use, texts = READERS[name]
    for make in texts:
        assert not (growth := too_fast_growth(use, make)), f"{make(24)!r}: {growth}"


def test_every_address_is_found_in_time_in_proportion_to_its_length() -> None:
    """Starlette makes a pattern of the path of each route."""
    paths = [re.sub(r"\{\w+(:\w+)?\}", "[^/]+", path) for path in app_without_lab().openapi()["paths"]]
    both = re.compile("|".join(f"(?:^{path}$)" for path in (*paths, "/static/(?P<path>.*)")))
    for make in URLS:
        assert not (growth := too_fast_growth(both.match, make)), f"{make(24)!r}: {growth}"


OLD_STAGES = re.compile(r"\s*[,;\n]\s*(?=[\d.]+\s*(?:ms|s|min|m)?\s*(?:to|:))", re.ASCII)
OLD_WORK = re.compile(r"\d{1,18}\s*%?\s*[a-z]+", re.ASCII)
OLD_WRK = re.compile(r"^\s*(\d+) requests in", re.MULTILINE)
BAD: dict[str, tuple[Use, Text]] = {
    "exponential": (re.compile(r"(a+)+$").match, repeated("a", after="!")),
    "cubic": (OLD_STAGES.split, repeated("\n", "5s:5", "x")),
    "quadratic in blanks": (OLD_WORK.fullmatch, repeated(" ", "5", "!")),
    "quadratic in lines": (OLD_WRK.search, repeated("\n")),
    "a loop": (lambda text: [text[i:] for i in range(len(text))], repeated("a")),
}


@pytest.mark.parametrize("which", BAD)
def test_the_test_finds_what_is_not_linear(which: str) -> None:
    assert too_fast_growth(*BAD[which])
