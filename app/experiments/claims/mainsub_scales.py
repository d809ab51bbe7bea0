"""Several sub-reactors scale further than one reactor, with or without a pool."""

from __future__ import annotations

from app.experiments.cells import MAIN_SUB, POOL, REACTOR, hash_shared, plaintext_maximum
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Entry, Finding, Ratio, Refutation, Retelling, Story
from app.experiments.evidence import Evidence

CELLS = tuple(cell(REACTOR, POOL, MAIN_SUB) for cell in (hash_shared, plaintext_maximum))
NEEDS = tuple(
    Ratio(cell.key, MAIN_SUB.name, other.name, "achieved_per_s", where=cell.title)
    for cell in CELLS
    for other in (REACTOR, POOL)
)


def check(evidence: Evidence) -> Finding:
    """Compare throughput in both cells."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="mainsub-scales",
    order=120,
    text="A main reactor with sub-reactors scales further.",
    tested_as=(
        "throughput at least 1.10 times that of the reactor and of the pool, in hash work and in plaintext"
    ),
    check=check,
    model="main-sub",
    cells=CELLS,
    needs=NEEDS,
    cannot_show=("More cores than this machine has.", "Plaintext beyond what the load generator can offer."),
    story=Story(
        short="It scales further",
        question="How much more throughput has main-sub than a reactor, and than a pool?",
        why=(
            "Each sub-reactor owns a share of the connections, so nothing is handed over per "
            "request. Under a GIL, only work that releases it runs in parallel."
        ),
        restaurant=Retelling(
            text="A host and several waiters serve more guests.",
            question="How many more dishes does a restaurant with a host and several waiters serve?",
            why="Each waiter has tables of their own, and nothing is passed on for each dish.",
        ),
    ),
    refute="Give it one sub-reactor without workers: `main-sub:reactors=1,workers=0`.",
    refutations=(
        Refutation(
            "one-sub-reactor",
            "One sub-reactor without workers.",
            entries={MAIN_SUB.name: Entry(MAIN_SUB.model, {"reactors": 1, "workers": 0})},
        ),
    ),
)
