"""Knobs as they were given, with a problem for each wrong one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.errors import FieldProblem, Invalid
from engines.common.contract import BadKnob

ParsedKnobs = dict[str, int | str]


def parse_given(
    parse: Callable[[Mapping[str, object]], ParsedKnobs], given: Mapping[str, object]
) -> ParsedKnobs:
    """Return what `parse` makes of the given knobs. Raises Invalid with a problem for each wrong one."""
    problems = []
    for knob, value in given.items():
        try:
            parse({knob: value})
        except BadKnob as bad:
            problems.append(FieldProblem(f"/knobs/{knob}", f"{bad.name} {bad.problem}"))
    if problems:
        raise Invalid(". ".join(problem.detail for problem in problems) + ".", tuple(problems))
    return parse(given)
