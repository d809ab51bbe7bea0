"""Variants of claims: the same claim and check, under a changed condition that should refute it. Pure.

A variant has its own id, such as pool-9x~one-worker, so its answers are never those of the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.experiments.claim import Cell, Claim, Entry, Finding, Refutation
from app.experiments.curve import Curve
from app.experiments.evidence import Evidence

SEPARATOR = "~"


def variant_id(claim: Claim, refutation: Refutation) -> str:
    """Return the id of a variant."""
    return f"{claim.id}{SEPARATOR}{refutation.key}"


def base_id(id: str) -> str:
    """Return the id of the claim that a variant varies; a claim is its own."""
    return id.partition(SEPARATOR)[0]


def variants(claim: Claim) -> dict[str, Claim]:
    """Return the variants of a claim by id."""
    return {variant_id(claim, each): varied(claim, each) for each in claim.refutations}


def varied(claim: Claim, refutation: Refutation) -> Claim:
    """Return a claim under a changed condition. Names of entries and keys of cells remain, for its check."""
    knobs = {name: entry_text(entry) for name, entry in refutation.entries.items() if "=" in name}
    words = {**knobs, **refutation.words}

    def check(evidence: Evidence) -> Finding:
        return _reworded(claim.check(evidence), words)

    return replace(
        claim,
        id=variant_id(claim, refutation),
        cells=tuple(_cell(cell, refutation) for cell in claim.cells),
        check=check,
        curve=_curve(claim.curve, refutation, words),
        refutations=(),
        variant=refutation,
    )


def _curve(curve: Curve | None, refutation: Refutation, words: Mapping[str, str]) -> Curve | None:
    """Return the curve of a variant; None if its x axis would not be what is varied."""
    if curve is None or refutation.plan:
        return None
    return replace(curve, lines=tuple((words.get(name, name), points) for name, points in curve.lines))


def entry_text(entry: Entry) -> str:
    """Return an entry as the command line has it: reactor-pool workers=1."""
    return " ".join((entry.model, *(f"{name}={value}" for name, value in entry.knobs.items())))


def _cell(cell: Cell, refutation: Refutation) -> Cell:
    changed = {**refutation.plan, **refutation.plans.get(cell.key, {})}
    return replace(
        cell,
        title=f"{refutation.text.removesuffix('.')} ({cell.key})" if changed else cell.title,
        plan={**cell.plan, **changed},
        entries=tuple(_entry(entry, refutation) for entry in cell.entries),
    )


def _entry(entry: Entry, refutation: Refutation) -> Entry:
    changed = refutation.entries.get(entry.name)
    return replace(changed, key=entry.name) if changed else entry


def _reworded(found: Finding, words: Mapping[str, str]) -> Finding:
    """Return a finding whose sentences state the changed condition instead of the claim's."""

    def text(sentence: str) -> str:
        for before, after in words.items():
            sentence = sentence.replace(before, after)
        return sentence

    results = tuple(
        replace(result, title=text(result.title), sentence=text(result.sentence)) for result in found.results
    )
    return Finding(found.answer, tuple(map(text, found.because)), results)
