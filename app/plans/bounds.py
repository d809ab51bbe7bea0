"""Bounds of a plan's fields, one check for each kind of field: the problem in words, or None."""

from __future__ import annotations

from typing import Any

from app.errors import FieldProblem, shown

NUMBER_MAX = 40  # characters of a number that is told back: JSON may have thousands of digits


def one_of(name: str, value: Any, choices: tuple[str, ...], at: str = "/plan") -> FieldProblem | None:
    if value in choices:
        return None
    return FieldProblem(f"{at}/{name}", f"{name} is one of {', '.join(choices)}, not {shown(value)}.")


def whole(name: str, value: Any, low: int, high: int, at: str = "/plan") -> FieldProblem | None:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return None
    return FieldProblem(
        f"{at}/{name}", f"{name} is a whole number from {low:,} to {high:,} ({said(value)} was given)."
    )


def number(name: str, value: Any, low: float, high: float, at: str = "/plan") -> FieldProblem | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return None
    return FieldProblem(
        f"{at}/{name}", f"{name} is a number from {low:,g} to {high:,g} ({said(value)} was given)."
    )


def flag(name: str, value: Any) -> FieldProblem | None:
    return None if isinstance(value, bool) else FieldProblem(f"/plan/{name}", f"{name} is true or false.")


def said(value: Any) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, int | float):
        return shown(value)
    text = f"{value:,}"
    return text if len(text) <= NUMBER_MAX else f"{text[:NUMBER_MAX]}…"
