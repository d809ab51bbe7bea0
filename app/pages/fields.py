"""How long the text in a form's fields may be; checked before any of it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.errors import FieldProblem, Invalid
from app.imports.parsers import TEXT_MAX
from app.plans.thresholds import LENGTH_MAX, THRESHOLDS_MAX

NAME_MAX = 200
USUAL_MAX = 200  # as a text of the API
MAX: Mapping[str, int] = {
    "work": 2000,  # 8 kinds take some 250
    "stages": 2000,  # 50 stages take some 1,500
    "thresholds": THRESHOLDS_MAX * (LENGTH_MAX + len("\r\n")),
    "text": TEXT_MAX,
    "token": 1000,
    "next": 2000,  # an address to go on to
    "back": 4000,  # an address of the list of runs, with its filter
}
KNOBS, KNOBS_MAX = "knobs_", 2000  # knobs on one line
KNOB = "knob_"  # one knob


def length_max(name: str) -> int:
    """The most characters that a field takes."""
    return MAX.get(name, KNOBS_MAX if name.startswith(KNOBS) else USUAL_MAX)


def check_lengths(form: Mapping[str, str], plan: Collection[str] = ()) -> None:
    """Raise Invalid with every field that is too long; `plan` are those that stand in a run's plan."""
    found = [
        FieldProblem(
            _pointer(name, plan), f"{_label(name)} is at most {most:,} characters ({len(text):,} were given)."
        )
        for name, text in form.items()
        if len(text) > (most := length_max(name))
    ]
    if found:
        raise Invalid(" ".join(problem.detail for problem in found), tuple(found))


def _pointer(name: str, plan: Collection[str]) -> str:
    if name.startswith(KNOB):
        return f"/knobs/{name.removeprefix(KNOB)}"
    return f"/plan/{name}" if name in plan else f"/{name}"


def _label(name: str) -> str:
    return name.removeprefix(KNOB)
