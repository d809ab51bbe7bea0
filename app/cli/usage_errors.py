"""Sentences for arguments and settings that are wrong. They name the flag or the environment variable."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import typer


def usage_error(error: typer.TyperException) -> str:
    """Return what is wrong with the arguments, and where the right ones are described."""
    context = getattr(error, "ctx", None)
    text = (_invalid_value(error) or error.format_message().replace("Value error, ", "")).rstrip(".")
    return f"{text}. See {context.command_path} --help." if context else f"{text}."


def setting_errors(error: ValueError, flags: Collection[str] = ()) -> list[str]:
    """Return a sentence for each problem of a ValidationError of pydantic; [] for another error.

    flags: the names of the settings that were given by flag.
    """
    from pydantic import ValidationError

    from app import validation

    if not isinstance(error, ValidationError):
        return []
    return [f"{validation.describe(_setting(each['loc'], flags), each)}." for each in error.errors()]


def _invalid_value(error: typer.TyperException) -> str | None:
    """Return what is wrong with the value of an option; None if typer's message is already a sentence."""
    from app import validation

    found: Any = getattr(error.__cause__, "errors", None)  # of a ValidationError
    param: Any = getattr(error, "param", None)
    if found is None or param is None:
        return None
    first = found()[0]
    return None if first["type"] == "value_error" else validation.describe(param.opts[0], first)


def _setting(location: tuple[int | str, ...], flags: Collection[str]) -> str:
    """Return the flag of a setting if it was given by flag, else its variable if it is set, else its name."""
    name = ".".join(map(str, location))
    if name in flags:
        return f"--{name.replace('_', '-')}"
    variable = f"THREADLAB_{name.upper()}"
    return variable if variable in map(str.upper, os.environ) else name
