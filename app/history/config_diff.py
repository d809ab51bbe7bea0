"""In what two runs were not the same, and what that means for reading them side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from app.schemas.run import RunView

MOVING = ("load_average", "memory_bytes")  # of an environment: they always differ a little, or do not matter
KINDS = ("model", "plan", "knobs", "placement", "environment")
BUSY = 0.75  # of the cores: with more than that to do already, whatever is measured is measured beside it
NAMED = ("model", "plan", "knobs")  # whose parts are told one by one


@dataclass(frozen=True, slots=True)
class Unlike:
    """Something in which the runs were not the same; None: it was not there."""

    kind: str  # one of KINDS
    name: str
    a: Any
    b: Any


def unlike(a: RunView, b: RunView) -> Iterator[Unlike]:
    """Model, plan, knobs, placement, environment: whatever was not the same."""
    if a.model != b.model:
        yield Unlike("model", "model", a.model, b.model)
    for kind in KINDS[1:]:
        one, other = getattr(a, kind), getattr(b, kind)
        for name in dict.fromkeys((*one, *other)):
            x, y = one.get(name), other.get(name)
            if (
                _plain(name, x) != _plain(name, y)
                and name not in MOVING
                and not (kind == "plan" and name == "placement")
            ):
                yield Unlike(kind, name, x, y)


def _plain(name: str, value: Any) -> Any:
    """Weights of a work mix are told apart by their shares: 1 of 1 is 100 of 100."""
    if name != "work" or not value:
        return value
    total = sum(each.get("weight", 1) for each in value) or 1
    return [{**each, "weight": Fraction(each.get("weight", 1), total)} for each in value]


def notes(a: RunView, b: RunView, found: Sequence[Unlike]) -> Iterator[str]:
    """What to know before the figures are read."""
    kinds = list(dict.fromkeys(each.kind for each in found))
    if a.id == b.id:
        yield "This is one run beside itself."
    if len(things := _things(found)) > 1:
        yield f"These runs differ in more than one thing: {_and(things)}."
    if "plan" in kinds:
        yield "They were not given the same load, so a change here is not the engine's alone."
    if "environment" in kinds:
        yield "They were not made on the same machine as it stands, so a change here may be the machine's."
    for run in (a, b):
        load, cores = run.environment.get("load_average"), run.environment.get("cores")
        if load is not None and cores and load > BUSY * cores:
            yield f"Other work was on the machine when run {run.id} began (load average {load:.1f} on {cores} cores)."
        if run.summary is None:
            yield f"Run {run.id} is {run.state} and has no figures."
        elif run.verdict and not run.verdict.rankable:
            yield f"Run {run.id} is not valid for ranking. {run.verdict.why_not}"


def _things(found: Sequence[Unlike]) -> list[str]:
    """rate_per_s, knob workers, environment. A model's own knobs come with the model, and are no thing of their own."""
    models = any(each.kind == "model" for each in found)
    parts = [each for each in found if each.kind in NAMED]
    named = [
        each.name if each.kind in ("model", "plan") else f"knob {each.name}"
        for each in parts
        if not (models and each.kind == "knobs" and None in (each.a, each.b))
    ]
    return [
        *named,
        *(kind for kind in KINDS if kind not in NAMED and any(each.kind == kind for each in found)),
    ]


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
