"""Validation of a request mix: work kinds, their parameters and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app.errors import FieldProblem
from app.load.protocol.plan import HTTP_KINDS, KINDS, Work
from app.plans.bounds import Bounds, check_choice, check_integer
from app.plans.validate_http import check_http

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
    problems: list[FieldProblem] = []
    for i, work in enumerate(mix):
        pointer = f"{parent}/work/{i}"
        if problem := check_choice("kind", work.kind, KINDS, pointer):
            problems.append(problem)
            continue
        if problem := check_integer("weight", work.weight, _WEIGHTS, pointer):
            problems.append(problem)
        if work.kind in HTTP_KINDS:
            problems += check_http(work.params, f"{pointer}/params")
        else:
            problems += _check_parameters(work, f"{pointer}/params")
    return problems or list(_check_labels(mix, parent))


def _check_parameters(work: Work, pointer: str) -> Iterator[FieldProblem]:
    parameters = _PARAMETERS[work.kind]
    if set(work.params) != set(parameters):
        needed = ", ".join(parameters) or "no parameters"
        yield FieldProblem(pointer, f"{work.kind} takes {needed}.")
        return
    for name, bounds in parameters.items():
        if problem := check_integer(name, work.params[name], bounds, pointer):
            yield problem


def _check_labels(mix: Sequence[Work], parent: str) -> Iterator[FieldProblem]:
    """Yield the requests by path of the mix that results could not tell from an earlier one."""
    labels = [work.label for work in mix]
    for i, (work, label) in enumerate(zip(mix, labels, strict=True)):
        if work.kind in HTTP_KINDS and label in labels[:i]:
            yield FieldProblem(
                f"{parent}/work/{i}/params/path",
                f"path must differ from that of the other {label} of the mix, for example in its query "
                "string: results name requests by method and path.",
            )
