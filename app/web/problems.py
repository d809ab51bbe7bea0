"""Errors of the API as RFC 9457 problem+json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app import validation
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
DESCRIPTIONS = {
    401: "The access token is missing or wrong.",
    403: "Cross-site request.",
    404: "Not found.",
    405: "The path does not support this method.",
    409: "Not possible in the current state.",
    413: "The request body exceeds 64 KiB.",
    421: "The host is not allowed.",
    422: "A field is invalid.",
    429: "Too many wrong tokens.",
    502: "The engine did not start.",
    503: "A limit of the lab is reached.",
}
ECHOED_MAX = 200  # characters of a client's text that a response repeats
INSTANCE_MAX, POINTER_MAX = 200, 400  # characters of a URL, and of a JSON pointer
# Errors of pydantic for a body that is no object, or that has another media type than JSON.
NOT_AN_OBJECT = frozenset(("missing", "model_attributes_type", "model_type", "dict_type"))
PROBLEMS_MAX = 50  # fields that a response lists
TYPES = "https://threadlab.dev/problems/"
RETRY_AFTER_S = 1


def openapi_responses() -> dict[int | str, dict[str, Any]]:
    """Return the error responses of every call, for the OpenAPI description."""
    content = {"application/problem+json": {"schema": SCHEMA}}
    return {status: {"description": text, "content": content} for status, text in DESCRIPTIONS.items()}


def shorten(text: str) -> str:
    """Return text of a client, cut to ECHOED_MAX characters."""
    return text if len(text) <= ECHOED_MAX else f"{text[:ECHOED_MAX]}…"


def problem(
    status: int, title: str, detail: str, instance: str, slug: str, fields: Sequence[FieldProblem] = ()
) -> JSONResponse:
    """Return a problem document.

    instance: the URL path of the request. slug: the last part of the problem type's URL.
    """
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


def from_lab_error(error: LabError, instance: str) -> JSONResponse:
    """Return the problem document of an error of the lab."""
    return problem(error.status, error.title, error.detail, instance, error.slug, error.problems)


def to_invalid(error: RequestValidationError) -> Invalid:
    """Return pydantic's errors as one Invalid: a JSON pointer and a sentence for each field."""
    errors = error.errors()[:PROBLEMS_MAX]
    problems = tuple(FieldProblem(_pointer(each)[:POINTER_MAX], _sentence(each)) for each in errors)
    return Invalid(" ".join(each.detail for each in problems) or "The request is invalid.", problems)


def _pointer(error: dict[str, Any]) -> str:
    """Return the JSON pointer of a field; empty for the whole body."""
    if error["type"] == "json_invalid":
        return ""
    return "".join(f"/{part}" for part in error["loc"][1:])


def _sentence(error: dict[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"The body is not JSON: {error['ctx']['error']}."
    name = ".".join(str(part) for part in error["loc"][1:])[:POINTER_MAX]
    if not name and error["type"] in NOT_AN_OBJECT:
        return "Send a JSON object with Content-Type: application/json."
    return f"{validation.describe(name or 'the body', error)}."
