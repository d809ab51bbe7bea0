"""What the lab refuses, in words a person can act on. The API and the pages turn these into answers."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: object) -> str:
    """What was given, in quotes and never long: a refusal does not send a client's 64 KiB back to it."""
    return _SHORT.repr(value)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that is wrong; `pointer` is its JSON pointer (`/knobs/workers`)."""

    pointer: str
    detail: str


class LabError(Exception):
    """Something that was asked cannot be done. Nothing has changed."""

    status = 500
    title = "Something went wrong"
    slug = "error"

    def __init__(self, detail: str, problems: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = problems


class Unknown(LabError):
    status, title, slug = 404, "Not found", "unknown"


class NotNow(LabError):
    status, title, slug = 409, "Not possible in this state", "not-now"


class TooShortIdle(NotNow):
    """An engine closes idle connections before a plan that holds some is over."""

    def __init__(self, engine: str, idle_s: int, plan_s: float) -> None:
        self.engine, self.needs_s = engine, int(plan_s) + 1
        super().__init__(
            f"This plan holds idle connections for {plan_s:g} s, and {engine} closes an idle connection after "
            f"{idle_s} s. Restart it with idle_s of {self.needs_s} or more."
        )


class Invalid(LabError):
    status, title, slug = 422, "A field is wrong", "invalid"

    @classmethod
    def field(cls, pointer: str, detail: str) -> Invalid:
        return cls(detail, (FieldProblem(pointer, detail),))

    def under(self, pointer: str) -> Invalid:
        """The same, of a part of a request that was checked by itself: where that part stands in the whole."""
        return Invalid(
            self.detail, tuple(FieldProblem(pointer + each.pointer, each.detail) for each in self.problems)
        )


class StartFailed(LabError):
    status, title, slug = 502, "The engine did not start", "start-failed"


class Busy(LabError):
    status, title, slug = 503, "Too much at once", "busy"
