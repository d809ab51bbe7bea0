"""Data exchange between main reactor and sub-reactors is said to be simpler than within a pool."""

from __future__ import annotations

from app.experiments.cells import POOL, plaintext_maximum
from app.experiments.checks import shown
from app.experiments.claim import Claim, Count, Entry, Finding, Retelling, Story
from app.experiments.evidence import Evidence
from app.schemas.states import Answer

INLINE = Entry("main-sub", {"workers": 0}, key="main-sub workers=0")
CELL = plaintext_maximum(INLINE, POOL)
ENTRIES = (INLINE.name, POOL.name)


def check(evidence: Evidence) -> Finding:
    """Show how often a request is handed from one thread to another."""
    sentences = shown(evidence, CELL.key, ENTRIES, "handoffs", "switches")
    return Finding(
        Answer.NOT_JUDGED,
        ("Whether an exchange is simple is a matter of taste; how often it happens is not.", *sentences),
    )


CLAIM = Claim(
    id="mainsub-data-exchange",
    order=130,
    text="Data exchange between the threads is simpler in the main-sub model.",
    tested_as="not judged; hand-offs per request are shown for main-sub without workers and for the pool",
    check=check,
    model="main-sub",
    cells=(CELL,),
    needs=tuple(Count(CELL.key, name, ("handoffs",), trials=1) for name in ENTRIES),
    shown=("switches",),
    cannot_show=("Simplicity.",),
    story=Story(
        short="Simpler data exchange",
        question="How often do threads exchange data per request?",
        why=(
            "In main-sub a connection stays with its sub-reactor, so a request is handed over "
            "only if the sub-reactor has workers. In the pool each request is."
        ),
        restaurant=Retelling(
            text="With waiters of their own, tables need no slips.",
            question="How many slips are passed for each dish?",
            why=(
                "A waiter who also cooks for their own tables writes no slips. With cooks there "
                "is one for each dish."
            ),
        ),
    ),
    refute="Give main-sub workers: it then hands requests over, too.",
)
