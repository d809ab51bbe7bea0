"""A proactor is said to be harder to program."""

from __future__ import annotations

from app.experiments.claim import Claim, Finding
from app.experiments.evidence import Evidence
from app.schemas.states import Answer


def check(evidence: Evidence) -> Finding:
    """Show the lines and branches of each model."""
    sizes = evidence.facts["code"]
    listed = ", ".join(
        f"{model} {size['lines']} lines, {size['branches']} branches" for model, size in sizes.items()
    )
    return Finding(
        Answer.NOT_JUDGED,
        (
            "Complexity is not measured by counting; these are the model and the support code that it uses.",
            f"{listed}.",
        ),
    )


CLAIM = Claim(
    id="proactor-complexity",
    order=170,
    text="A proactor is more complex to program.",
    tested_as="not judged; lines and branches of each model with its support code are shown",
    check=check,
    model="proactor",
    facts=("code",),
    cannot_show=("How long a reader needs to understand it.",),
    refute="Read both model modules: each is one page.",
)
