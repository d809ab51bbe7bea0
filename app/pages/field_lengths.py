"""Length limits of form fields, checked before any of the text is parsed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.errors import FieldProblem, Invalid
from app.history.history import TEXTS_MAX
from app.imports.parsers import TEXT_MAX
from app.plans.thresholds import LENGTH_MAX, THRESHOLDS_MAX

NAME_MAX = 200
DEFAULT_MAX = 200  # as for a text of the API
LENGTH_LIMITS: Mapping[str, int] = {
    "work": 2000,  # 8 kinds have about 250
    "groups": 2000,  # 4 groups with 8 kinds have about 1,300
    "stages": 2000,  # 50 stages have about 1,500
    "thresholds": THRESHOLDS_MAX * (LENGTH_MAX + len("\r\n")),
    "text": TEXT_MAX,
    "comment": TEXTS_MAX["comment"],
    "token": 1000,
    "next": 2000,  # path to redirect to
    "back": 4000,  # path of the list of runs, with its filter
}
KNOBS_PREFIX, KNOBS_MAX = "knobs_", 2000  # knobs on one line
KNOB_PREFIX = "knob_"  # one knob


def length_max(name: str) -> int:
    """Return the maximum number of characters of a field."""
    return LENGTH_LIMITS.get(name, KNOBS_MAX if name.startswith(KNOBS_PREFIX) else DEFAULT_MAX)


def check_lengths(form: Mapping[str, str], plan: Collection[str] = ()) -> None:
    """Raise Invalid with every field that is too long. `plan`: the names of fields of a plan."""
    problems = [
        FieldProblem(
            _pointer(name, plan), f"{_label(name)} is at most {most:,} characters (got {len(text):,})."
        )
        for name, text in form.items()
        if len(text) > (most := length_max(name))
    ]
    if problems:
        raise Invalid(" ".join(problem.detail for problem in problems), tuple(problems))


def _pointer(name: str, plan: Collection[str]) -> str:
    if name.startswith(KNOB_PREFIX):
        return f"/knobs/{name.removeprefix(KNOB_PREFIX)}"
    return f"/plan/{name}" if name in plan else f"/{name}"


def _label(name: str) -> str:
    return name.removeprefix(KNOB_PREFIX)
