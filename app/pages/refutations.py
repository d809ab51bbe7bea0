"""The variants that should refute a claim: each with its expected duration and its last answer here."""

from __future__ import annotations

from dataclasses import dataclass

from app.lab import Lab
from app.pages.answers import ClaimRow, claim_row
from app.schemas.experiment import ClaimView


@dataclass(frozen=True, slots=True)
class RefutationLine:
    """A variant with its last answer. `is_active`: it is queued or being measured."""

    row: ClaimRow
    quick_s: float
    is_active: bool

    @property
    def claim(self) -> ClaimView:
        return self.row.claim


def refutations(lab: Lab, claim: ClaimView) -> list[RefutationLine]:
    """Return the variants of a claim, in its order. Thread-safe."""
    active = {each.view.claim for each in list(lab.experiments.active.values())}
    return [
        RefutationLine(
            row=claim_row(lab.experiments.claim(each.claim), lab.experiments.last_answer(each.claim)),
            quick_s=lab.experiments.estimate_s(each.claim, quick=True),
            is_active=each.claim in active,
        )
        for each in claim.refutations
    ]
