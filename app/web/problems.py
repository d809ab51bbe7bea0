"""Errors of the API as RFC 9457 problem+json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.errors import FieldProblem, Invalid, LabError

_TEXT = {"type": "string"}
_FIELD = {
    "type": "object",
    "properties": {"pointer": _TEXT, "detail": _TEXT},
    "required": ["pointer", "detail"],
}
SCHEMA = {
    "title": "Problem",
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": _TEXT,
        "errors": {"type": "array", "items": _FIELD},
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
MEANINGS = {
    401: "The token is missing or wrong.",
    403: "The call comes from another site.",
    404: "There is no such thing.",
    405: "Not a method of this path.",
    409: "Not possible in this state.",
    413: "The body is over 64 KiB.",
    421: "Not a host that this lab answers to.",
    422: "A field is wrong.",
    429: "Too many wrong tokens.",
    502: "The engine did not start.",
    503: "Too much at once.",
}


def documented() -> dict[int | str, dict[str, Any]]:
    """What every call may answer beside its success, for the OpenAPI description."""
    content = {"application/problem+json": {"schema": SCHEMA}}
    return {status: {"description": meaning, "content": content} for status, meaning in MEANINGS.items()}


INSTANCE_MAX, POINTER_MAX = 200, 400  # characters of an address, and of a pointer, that are told back
PROBLEMS_MAX = 50  # fields that one answer names
TYPES = "https://threadlab.dev/problems/"
RETRY_AFTER_S = 1


def problem(
    status: int, title: str, detail: str, instance: str, slug: str, fields: Sequence[FieldProblem] = ()
) -> JSONResponse:
    """One problem document."""
    body: dict[str, Any] = {
        "type": TYPES + slug,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance[:INSTANCE_MAX],
    }
    if fields:
        body["errors"] = [{"pointer": field.pointer, "detail": field.detail} for field in fields]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def of_lab(error: LabError, instance: str) -> JSONResponse:
    return problem(error.status, error.title, error.detail, instance, error.slug, error.problems)


def of_validation(error: RequestValidationError) -> Invalid:
    """pydantic's findings as the lab says them: a pointer and a sentence each."""
    found = tuple(
        FieldProblem(_pointer(each)[:POINTER_MAX], _sentence(each)) for each in error.errors()[:PROBLEMS_MAX]
    )
    return Invalid(" ".join(field.detail for field in found) or "The request is not valid.", found)


def _pointer(found: dict[str, Any]) -> str:
    """The JSON pointer of a field; empty for the whole body."""
    if found["type"] == "json_invalid":
        return ""
    return "".join(f"/{part}" for part in found["loc"][1:])


def _sentence(found: dict[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return f"The body is not JSON: {found['ctx']['error']}."
    name = ".".join(str(part) for part in found["loc"][1:])[:POINTER_MAX] or "the body"
    if found["type"] == "extra_forbidden":
        return f"{name} is not a field here."
    if found["type"] == "missing":
        return f"{name} is missing."
    return f"{name}: {found['msg'][0].lower()}{found['msg'][1:]}."
