"""Errors of pydantic as sentences for the user, for the API, the pages and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE_NUMBER, _NUMBER = "must be a whole number", "must be a number"
_BOOLEAN, _TEXT = "must be true or false", "must be text"
_OBJECT, _LIST = "must be a JSON object", "must be a list"
# By pydantic's type of error. Braces stand for values of its context.
_PREDICATES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "int_parsing": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing_size": "has too many digits",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _BOOLEAN,
    "bool_type": _BOOLEAN,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "list_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
_OURS = "Value error, "  # before the text of a ValueError that one of our validators has raised


def describe(name: str, error: Mapping[str, Any]) -> str:
    """Return what is wrong with the field `name`, without a full stop; an empty `name` is left out.

    error: an entry of `ValidationError.errors()`.
    """
    if predicate := _PREDICATES.get(error["type"]):
        return f"{name} {predicate.format(**_context(error))}".strip()
    message = str(error["msg"]).removeprefix(_OURS)
    return f"{name}: {message}" if name else message


def sentence(error: Mapping[str, Any]) -> str:
    """Return what is wrong as a sentence, to stand at the field itself."""
    text = describe("", error)
    return f"{text[:1].upper()}{text[1:]}."


def _context(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a message of pydantic has, bounds of 0.0 as 0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in error.get("ctx", {}).items()
    }
