"""Checks of single plan fields, one function per kind of value. Each returns the problem, or None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.errors import FieldProblem, shown

NUMBER_CHARS_MAX = 40  # of a number in an error: JSON numbers may have thousands of digits


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest allowed value, inclusive, and their unit."""

    low: float
    high: float
    unit: str = ""

    def contains(self, value: float) -> bool:
        """Return whether a value is allowed; NaN is not."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        """For error messages: "0.5 to 600 s"."""
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:,.10g}" for end in (self.low, self.high))
        return f"{low} to {high}{f' {self.unit}' if self.unit else ''}"


def check_choice(
    name: str, value: Any, choices: tuple[str, ...], pointer: str = "/plan"
) -> FieldProblem | None:
    """Return a problem unless the value is one of the choices. `pointer`: JSON pointer of the parent."""
    if value in choices:
        return None
    return FieldProblem(
        f"{pointer}/{name}", f"{name} must be one of {', '.join(choices)}, not {shown(value)}."
    )


def check_integer(name: str, value: Any, bounds: Bounds, pointer: str = "/plan") -> FieldProblem | None:
    """Return a problem unless the value is an integer within the bounds."""
    if isinstance(value, int) and not isinstance(value, bool) and bounds.contains(value):
        return None
    return FieldProblem(
        f"{pointer}/{name}", f"{name} must be a whole number from {bounds} (given: {given(value)})."
    )


def check_number(name: str, value: Any, bounds: Bounds, pointer: str = "/plan") -> FieldProblem | None:
    """Return a problem unless the value is a number within the bounds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and bounds.contains(value):
        return None
    return FieldProblem(
        f"{pointer}/{name}", f"{name} must be a number from {bounds} (given: {given(value)})."
    )


def check_flag(name: str, value: Any, pointer: str = "/plan") -> FieldProblem | None:
    """Return a problem unless the value is a Boolean."""
    if isinstance(value, bool):
        return None
    return FieldProblem(f"{pointer}/{name}", f"{name} must be true or false.")


def given(value: Any) -> str:
    """Return a refused value for an error message, shortened."""
    if value is None:
        return "nothing"
    if not isinstance(value, int | float):
        return shown(value)
    text = f"{value:,}"
    return text if len(text) <= NUMBER_CHARS_MAX else f"{text[:NUMBER_CHARS_MAX]}…"
