"""Validation of a request mix: work kinds, their parameters and weights."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import FieldProblem
from app.load.protocol.plan import KINDS, Work
from app.plans.bounds import Bounds, check_choice, check_integer

_PARAMETERS: Mapping[str, Mapping[str, Bounds]] = {
    "plaintext": {},
    "echo": {"n": Bounds(0, 1024 * 1024, "bytes")},
    "cpu": {"us": Bounds(0, 1_000_000, "µs")},
    "hash": {"us": Bounds(0, 1_000_000, "µs")},
    "sleep": {"ms": Bounds(0, 10_000, "ms")},
    "bytes": {"n": Bounds(0, 1024 * 1024, "bytes")},
}
_WEIGHTS = Bounds(1, 10_000)
WORKS_MAX = 8


def check_work(mix: tuple[Work, ...], parent: str = "/plan") -> list[FieldProblem]:
    """Return the problems of a request mix. `parent`: JSON pointer of the load that has it."""
    if len(mix) > WORKS_MAX:
        return [FieldProblem(f"{parent}/work", f"A request mix has at most {WORKS_MAX} kinds.")]
    problems = []
    for i, work in enumerate(mix):
        pointer = f"{parent}/work/{i}"
        if problem := check_choice("kind", work.kind, KINDS, pointer):
            problems.append(problem)
            continue
        if problem := check_integer("weight", work.weight, _WEIGHTS, pointer):
            problems.append(problem)
        parameters = _PARAMETERS[work.kind]
        if set(work.params) != set(parameters):
            needed = ", ".join(parameters) or "no parameters"
            problems.append(FieldProblem(f"{pointer}/params", f"{work.kind} takes {needed}."))
            continue
        for name, bounds in parameters.items():
            if problem := check_integer(name, work.params[name], bounds, f"{pointer}/params"):
                problems.append(problem)
    return problems
