"""Servers on Linux are said to use the reactor mostly."""

from __future__ import annotations

from app.experiments.checks import WORDS
from app.experiments.claim import Claim, Finding, Retelling, Story
from app.experiments.evidence import Evidence
from app.schemas.states import Answer

FOR_PROACTOR = ("proactor-calls", "proactor-efficiency")
AGAINST_PROACTOR = ("proactor-memory", "proactor-support")


def check(evidence: Evidence) -> Finding:
    """Show what the answers of the other claims say for and against it here."""
    answers = evidence.facts["answers"]

    def listed(claims: tuple[str, ...]) -> str:
        known = (f"{claim} {WORDS[Answer(answers[claim])]}" for claim in claims if claim in answers)
        return ", ".join(known) or "no answers yet"

    return Finding(
        Answer.NOT_JUDGED,
        (
            "What other people choose cannot be measured here.",
            f"For a proactor: {listed(FOR_PROACTOR)}.",
            f"Against it: {listed(AGAINST_PROACTOR)}.",
        ),
    )


CLAIM = Claim(
    id="linux-prefers-reactor",
    order=190,
    text="Network servers on Linux usually choose the reactor.",
    tested_as="not judged; the answers above say what speaks for and against it on this machine",
    check=check,
    facts=("answers",),
    cannot_show=("Market share.",),
    story=Story(
        short="Linux servers prefer the reactor",
        question="What do the answers here say for and against it?",
        why=(
            "The choice of others cannot be measured. The answers on calls, efficiency, memory "
            "and support say what a proactor would gain or cost on this machine."
        ),
        restaurant=Retelling(
            text="Most restaurants here have waiters who walk.",
            question="What do the answers here say for and against it?",
            why=(
                "What other restaurants do cannot be measured here. The answers on walks, work "
                "and shelves say what a hatch would bring."
            ),
        ),
    ),
    refute="Name servers that use io_uring by default.",
)
