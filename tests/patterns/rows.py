"""Every regular expression of app/ and engines/, every function that parses text, and their worst cases."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import h11
from fastapi import FastAPI

from app import streams, templating
from app.imports import parsers, wrk
from app.machine import syscalls
from app.pages import compare_form, load_form, login_page, run_fields
from app.plans import text, thresholds, validate_http
from app.plans.thresholds import Threshold
from app.report import junit, series_csv
from app.servers import definition, installed
from app.web.authentication import COOKIE, cookie_value
from app.web.deps import IdConvertor
from app.web.h11_connection import BoundedConnection
from app.web.small_reads import READ_MAX
from engines.common.http import strict

from .texts import (
    BLANKS,
    CHUNK_LINES,
    CHUNKED,
    CHUNKS,
    CONDITIONS,
    COOKIES,
    EVENTS,
    GROUPS,
    HEADER_VALUES,
    HEADS,
    HTTP,
    HTTP_WORK,
    JSONS,
    NAMES,
    PATHS,
    REQUEST_PATHS,
    STAGES,
    TEMPLATES,
    TEXT,
    TOKENS,
    URLS,
    WORK,
    WRK,
    Text,
    repeated,
)

Use = Callable[[Any], object]
Row = tuple[Use, tuple[Text, ...]]


def parse_request(data: bytes) -> None:
    """Parse bytes as the control plane does, in pieces as it reads them, until it refuses them."""
    connection = BoundedConnection()
    with contextlib.suppress(h11.RemoteProtocolError):
        for start in range(0, len(data), READ_MAX):
            connection.receive_data(data[start : start + READ_MAX])
            while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                pass


def of(pattern: str | re.Pattern[Any], method: str, texts: tuple[Text, ...]) -> Row:
    """Return the row of a pattern that is used by one of its methods: `fullmatch`, `search` …"""
    return getattr(re.compile(pattern), method), texts


# By file, and the name of the pattern there, or its source if it has no name.
PATTERNS: dict[str, Row] = {
    "app/web/deps.py regex": of(IdConvertor.regex, "fullmatch", (repeated("1"), repeated("1", after="x"))),
    r'app/machine/syscalls.py rf"(\d+),[^,]*,{EVENT}"': of(rf"(\d+),[^,]*,{syscalls.EVENT}", "match", EVENTS),
    "app/plans/thresholds.py _GRAMMAR": of(thresholds._GRAMMAR, "fullmatch", CONDITIONS),
    r'app/main.py r"\{\w+\}"': of(r"\{\w+\}", "split", TEMPLATES),
    "app/main.py pattern": of("/api/v1/runs/[^/]+/diff/[^/]+", "fullmatch", URLS),
    "app/plans/text.py _BLANKS": of(text._BLANKS, "split", STAGES),
    "app/plans/text.py _GROUP_PART": of(text._GROUP_PART, "fullmatch", GROUPS),
    "app/plans/text.py _HTTP": of(text._HTTP, "fullmatch", HTTP_WORK),
    "app/plans/text.py _NEXT_STAGE": of(text._NEXT_STAGE, "split", STAGES),
    "app/plans/text.py _STAGE": of(text._STAGE, "fullmatch", STAGES),
    "app/plans/text.py _WORK": of(text._WORK, "fullmatch", WORK),
    "app/plans/validate_http.py _PATH": of(validate_http._PATH, "fullmatch", REQUEST_PATHS),
    "app/plans/validate_http.py _TOKEN": of(validate_http._TOKEN, "fullmatch", TOKENS),
    "app/plans/validate_http.py _VALUE": of(validate_http._VALUE, "fullmatch", HEADER_VALUES),
    r'app/format.py r"p\d+"': of(r"p\d+", "fullmatch", NAMES),
    r'app/templating.py r"\n\s*\n"': of(r"\n\s*\n", "split", BLANKS),
    "app/pages/login_page.py _OWN_PATH": of(login_page._OWN_PATH, "fullmatch", PATHS),
    r'app/imports/k6.py r"^p(\d+(?:\.\d+)?)$"': of(r"^p(\d+(?:\.\d+)?)$", "search", NAMES),
    "app/report/series_csv.py _FORMULA": of(series_csv._FORMULA, "split", (*TEXT, *BLANKS, repeated(";  "))),
    "app/imports/wrk.py _MAX": of(wrk._MAX, "search", WRK),
    "app/imports/wrk.py _PERCENTILE": of(wrk._PERCENTILE, "findall", WRK),
    "app/imports/wrk.py _RATE": of(wrk._RATE, "search", WRK),
    "app/imports/wrk.py _SOCKETS": of(wrk._SOCKETS, "search", WRK),
    "app/imports/wrk.py _STATUS": of(wrk._STATUS, "search", WRK),
    "app/imports/wrk.py _TOTAL": of(wrk._TOTAL, "search", WRK),
    "app/report/junit.py _NOT_XML": of(junit._NOT_XML, "split", TEXT),
    "app/servers/definition.py _PLACEHOLDER": of(definition._PLACEHOLDER, "split", TEMPLATES),
    "app/servers/installed.py _VERSION": of(installed._VERSION, "search", (*NAMES, repeated("1."))),
    r'app/settings.py r"(/[A-Za-z0-9._~-]+)+"': of(r"(/[A-Za-z0-9._~-]+)+", "fullmatch", PATHS),
    "app/streams.py _CONTROLS": of(streams._CONTROLS, "split", (*TEXT, repeated("\r"), repeated("\x1b"))),
    "engines/common/http/strict.py _ABSOLUTE": of(strict._ABSOLUTE, "match", HTTP),
    "engines/common/http/strict.py _CHUNK_LINE": of(strict._CHUNK_LINE, "fullmatch", CHUNKS),
    "engines/common/http/strict.py _HOST": of(strict._HOST, "fullmatch", HTTP),
    "engines/common/http/strict.py _REQUEST_LINE": of(strict._REQUEST_LINE, "fullmatch", HTTP),
    "engines/common/http/strict.py is_plain_request_line": (strict.is_plain_request_line, HTTP),
}
# Functions that parse the text of a user, a file or a tool.
READERS: dict[str, Row] = {
    "stages": (text.parse_stages, STAGES),
    "work": (text.parse_work, WORK),
    "load groups": (text.parse_groups, (*GROUPS, *WORK)),
    "a threshold": (Threshold.parse, CONDITIONS),
    "the load form": (
        lambda text: load_form.run_request({"thresholds": text, "then": text, "vus": text}),
        (*STAGES, *WORK),
    ),
    "the knobs of an entry": (
        compare_form._knobs,
        (*BLANKS, repeated("a=1 "), repeated("a,"), repeated("=")),
    ),
    "a run number": (run_fields.parse_run_id, (repeated("1"), repeated("a"))),
    "wrk": (parsers.READERS["wrk"], WRK),
    "oha": (parsers.READERS["oha"], JSONS),
    "k6": (parsers.READERS["k6"], JSONS),
    "the docstring of a model": (
        lambda text: list(templating.doc_parts(text)),
        (*BLANKS, repeated("`"), repeated("a\n\n")),
    ),
    "a Host header": (strict.is_host, HTTP),
    "the head of a request": (parse_request, HEADS),
    "a chunked body": (lambda text: parse_request(CHUNKED + text), CHUNK_LINES),
    "a cookie": (lambda text: cookie_value(text, COOKIE), COOKIES),
}


def route_pattern(app: FastAPI) -> re.Pattern[str]:
    """Return one pattern of all routes: Starlette compiles one for the path of each."""
    paths = [re.sub(r"\{\w+(:\w+)?\}", "[^/]+", path) for path in app.openapi()["paths"]]
    return re.compile("|".join(f"(?:^{path}$)" for path in (*paths, "/static/(?P<path>.*)")))


# What the tests must find: the first three are patterns that the lab had once.
OLD_STAGES = re.compile(r"\s*[,;\n]\s*(?=[\d.]+\s*(?:ms|s|min|m)?\s*(?:to|:))", re.ASCII)
OLD_WORK = re.compile(r"\d{1,18}\s*%?\s*[a-z]+", re.ASCII)
OLD_WRK = re.compile(r"^\s*(\d+) requests in", re.MULTILINE)
NOT_LINEAR: dict[str, tuple[Use, Text]] = {
    "exponential": (re.compile(r"(a+)+$").match, repeated("a", after="!")),
    "cubic": (OLD_STAGES.split, repeated("\n", "5s:5", "x")),
    "quadratic in blanks": (OLD_WORK.fullmatch, repeated(" ", "5", "!")),
    "quadratic in lines": (OLD_WRK.search, repeated("\n")),
    "a nested loop": (lambda text: [each for i in range(len(text)) for each in text[i:]], repeated("a")),
}
