"""Errors with a sentence for the user. The API, the pages and the command line show them."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: object) -> str:
    """Return a value of a client as a short literal, so that an error does not repeat 64 KiB of input."""
    return _SHORT.repr(value)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """An invalid field. pointer: its JSON pointer, such as `/knobs/workers`. detail: a sentence."""

    pointer: str
    detail: str


class LabError(Exception):
    """A request failed; nothing was changed.

    detail: a sentence. problems: the invalid fields. status: for HTTP. title, slug: of the problem document.
    """

    status = 500
    title = "Internal error"
    slug = "error"

    def __init__(self, detail: str, problems: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = problems


class Unknown(LabError):
    """There is no object with this id."""

    status, title, slug = 404, "Not found", "unknown"


class NotNow(LabError):
    """The request is not possible in the current state of the object."""

    status, title, slug = 409, "Not possible in this state", "not-now"


class TooShortIdle(NotNow):
    """The keep-alive timeout of an engine is shorter than the time for which a plan holds idle connections.

    engine: its id. needs_s: the timeout that is needed.
    """

    def __init__(self, engine: str, idle_s: int, plan_s: float) -> None:
        self.engine, self.needs_s = engine, int(plan_s) + 1
        super().__init__(
            f"The keep-alive timeout of {engine} ({idle_s} s) is too short: this plan holds idle connections "
            f"for {plan_s:g} s. Restart it with idle_s of {self.needs_s} or more."
        )


class Invalid(LabError):
    """A field is invalid."""

    status, title, slug = 422, "A field is invalid", "invalid"

    @classmethod
    def field(cls, pointer: str, detail: str) -> Invalid:
        """Return the error for one field."""
        return cls(detail, (FieldProblem(pointer, detail),))

    def under(self, pointer: str) -> Invalid:
        """Return the same error for a part of a larger request, whose JSON pointer is `pointer`."""
        return Invalid(
            self.detail, tuple(FieldProblem(pointer + each.pointer, each.detail) for each in self.problems)
        )


class StartFailed(LabError):
    """An engine ended before it was ready."""

    status, title, slug = 502, "The engine did not start", "start-failed"


class Busy(LabError):
    """A limit of the lab or of the machine is reached."""

    status, title, slug = 503, "Limit reached", "busy"
