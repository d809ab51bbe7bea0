"""A proactor is said to be harder to program."""

from __future__ import annotations

from app.experiments.claim import Claim, Finding, Retelling, Story
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
    story=Story(
        short="More complex to program",
        question="How much code do a reactor and a proactor need?",
        why=(
            "A proactor keeps state for every pending operation and must handle completions "
            "that arrive late. Lines and branches are a hint, not a measure of complexity."
        ),
        restaurant=Retelling(
            text="A hatch needs more rules.",
            question="How many rules does a hatch need?",
            why="Orders in progress, trays, and plates that come back late all need a rule.",
        ),
    ),
    refute="Read both model modules: each is one page.",
)
