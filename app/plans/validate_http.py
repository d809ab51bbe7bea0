"""Validation of the parameters of the work kind `http`: only what can be sent as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import FieldProblem, shown
from app.load.protocol.http_request import MASKED, PARAMETERS
from app.plans.bounds import Bounds, check_choice, check_integer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITHOUT_REQUEST_BODY = frozenset(("GET", "HEAD"))
PATH_MAX = 2000  # characters
HEADERS_MAX = 20
HEADER_NAME_MAX, HEADER_VALUE_MAX = 200, 4000  # characters
BODY_MAX = 32 * 1024  # bytes
STATUSES = Bounds(200, 599)
_PATH = re.compile(r"/[!-\"$-~]*+")  # visible ASCII without #, which begins a fragment
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"(?:[!-~]++(?:[\t ]++[!-~]++)*+)?")  # visible ASCII, with blanks and tabs inside
# Headers that the load generator sets, and why.
_RESERVED = {
    "host": "it is the address of the server under test",
    "content-length": "it is the length of the body",
    "transfer-encoding": "the body is sent with its length",
    "connection": "the fields churn and pipeline of the plan decide how connections are used",
}


def check_http(params: Mapping[str, Any], pointer: str) -> Iterator[FieldProblem]:
    """Yield the problems of a request. `pointer`: JSON pointer of `params`.

    No problem repeats the value of a header: it may be a secret.
    """
    for name in params:
        if name not in PARAMETERS:
            detail = f"http has no parameter {shown(name)}; it has {', '.join(PARAMETERS)}."
            yield FieldProblem(f"{pointer}/{_escaped(name)}", detail)
    method = params.get("method", "GET")
    yield from filter(
        None,
        (
            _check_path(params.get("path"), pointer),
            check_choice("method", method, METHODS, pointer),
            _check_body(params.get("body", ""), method, pointer),
            check_integer("status", params.get("status", 200), STATUSES, pointer),
        ),
    )
    yield from _check_headers(params.get("headers", {}), f"{pointer}/headers")


def _check_path(path: object, pointer: str) -> FieldProblem | None:
    if isinstance(path, str) and len(path) <= PATH_MAX and _PATH.fullmatch(path):
        return None
    detail = (
        f"path must begin with / and have at most {PATH_MAX:,} characters of visible ASCII, without blanks "
        f"and #, not {shown(path)}."
    )
    return FieldProblem(f"{pointer}/path", detail)


def _check_body(body: object, method: object, pointer: str) -> FieldProblem | None:
    detail = None
    if not isinstance(body, str) or not _is_unicode(body):
        detail = "body must be text."
    elif len(body.encode()) > BODY_MAX:
        detail = f"body must have at most {BODY_MAX:,} bytes in UTF-8."
    elif body and method in WITHOUT_REQUEST_BODY:
        detail = f"body must be empty: a {method} request has none."
    return FieldProblem(f"{pointer}/body", detail) if detail else None


def _is_unicode(text: str) -> bool:
    """Return whether a text can be sent: JSON may have half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_headers(headers: object, pointer: str) -> Iterator[FieldProblem]:
    if not isinstance(headers, Mapping):
        yield FieldProblem(pointer, "headers must be an object: the value of each header by its name.")
        return
    if len(headers) > HEADERS_MAX:
        yield FieldProblem(pointer, f"A request has at most {HEADERS_MAX} headers.")
        return
    seen: set[str] = set()
    for name, value in headers.items():
        if len(name) > HEADER_NAME_MAX or not _TOKEN.fullmatch(name):
            yield FieldProblem(pointer, f"{shown(name)} is not the name of a header.")
        elif detail := _header_problem(name, value, seen):
            yield FieldProblem(f"{pointer}/{_escaped(name)}", detail)
        seen.add(name.lower())


def _header_problem(name: str, value: object, seen: set[str]) -> str | None:
    if reason := _RESERVED.get(name.lower()):
        return f"{name} is set by the load generator: {reason}."
    if name.lower() in seen:
        return f"{name} is given twice."
    if value == MASKED:
        return f"{name} was masked in the history; give its value again."
    if not isinstance(value, str) or len(value) > HEADER_VALUE_MAX or not _VALUE.fullmatch(value):
        return (
            f"{name} must be at most {HEADER_VALUE_MAX:,} characters of visible ASCII, with blanks and tabs "
            "only inside, and without line breaks."
        )
    return None


def _escaped(name: str) -> str:
    """Return a name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
