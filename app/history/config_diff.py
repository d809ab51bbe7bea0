"""Finds the setup differences between two runs, and the notes that a reader of their diff needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from app.schemas.run import RunView

KINDS = ("model", "plan", "knobs", "placement", "environment")
IGNORED = ("load_average", "memory_bytes")  # of an environment: they vary without an effect, or have notes
BUSY_LOAD = 0.75  # load average per core above which other processes disturb a run
LISTED_BY_FIELD = ("model", "plan", "knobs")  # kinds whose fields a note lists one by one


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """A field in which the setups of two runs differ. None means that a run does not have it."""

    kind: str  # one of KINDS
    name: str
    a: Any
    b: Any


def config_differences(a: RunView, b: RunView) -> Iterator[ConfigDifference]:
    """Yield the differences in model, plan, knobs, placement and environment, in this order."""
    if a.model != b.model:
        yield ConfigDifference("model", "model", a.model, b.model)
    for kind in KINDS[1:]:
        ours, theirs = getattr(a, kind), getattr(b, kind)
        for name in dict.fromkeys((*ours, *theirs)):
            x, y = ours.get(name), theirs.get(name)
            # The placement of a plan is what was requested. The kind "placement" has what was applied.
            is_ignored = name in IGNORED or (kind == "plan" and name == "placement")
            if not is_ignored and _normalised(name, x) != _normalised(name, y):
                yield ConfigDifference(kind, name, x, y)


def environment_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields in which two environments differ, without those that always vary."""
    names = dict.fromkeys((*a, *b))
    return [name for name in names if name not in IGNORED and not _is_same(a.get(name), b.get(name))]


def _is_same(a: Any, b: Any) -> bool:
    """Return whether two values are equal; one of them may have been stored as JSON, without tuples."""
    return a == b or (isinstance(a, list | tuple) and isinstance(b, list | tuple) and list(a) == list(b))


def _normalised(name: str, value: Any) -> Any:
    """Return a comparable value: weights of a work mix as shares, so that 1 of 1 equals 100 of 100.

    Of hosts that generate load it is the names: clocks and round trips are measured anew for each run.
    """
    if name == "hosts" and value:
        return [each["name"] for each in value]
    if name != "work" or not value:
        return value
    total = sum(each.get("weight", 1) for each in value) or 1
    return [{**each, "weight": Fraction(each.get("weight", 1), total)} for each in value]


def notes(a: RunView, b: RunView, differences: Sequence[ConfigDifference]) -> Iterator[str]:
    """Yield the sentences to read before the figures: what else may explain a change."""
    kinds = {each.kind for each in differences}
    if a.id == b.id:
        yield "Both sides are the same run."
    if len(names := _names(differences)) > 1:
        yield f"The runs differ in several settings: {_listed(names)}."
    if "plan" in kinds:
        yield "The loads differ, so a change is not due to the engine alone."
    facts = {each.name for each in differences if each.kind == "environment"}
    if "application" in facts:
        yield "The applications differ, so a change may be due to them."
    if facts - {"application"}:
        yield "The environments differ, so a change may be due to the machine."
    for run in (a, b):
        yield from _run_notes(run)


def _run_notes(run: RunView) -> Iterator[str]:
    load, cores = run.environment.get("load_average"), run.environment.get("cores")
    if load is not None and cores and load > BUSY_LOAD * cores:
        yield f"The machine was busy when run {run.id} began (load average {load:.1f} on {cores} cores)."
    if run.summary is None:
        yield f"Run {run.id} has no figures (state: {run.state})."
    elif run.verdict and not run.verdict.rankable:
        yield f"Run {run.id} is excluded from ranking. {run.verdict.why_not}"


def _names(differences: Sequence[ConfigDifference]) -> list[str]:
    """Return what differs: rate_per_s, knob workers, environment.

    Knobs that only one of two models has are omitted: they follow from the model.
    """
    models_differ = any(each.kind == "model" for each in differences)
    fields = [
        each.name if each.kind in ("model", "plan") else f"knob {each.name}"
        for each in differences
        if each.kind in LISTED_BY_FIELD
        and not (models_differ and each.kind == "knobs" and None in (each.a, each.b))
    ]
    kinds = [kind for kind in KINDS if kind not in LISTED_BY_FIELD]
    return [*fields, *(kind for kind in kinds if any(each.kind == kind for each in differences))]


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]))
