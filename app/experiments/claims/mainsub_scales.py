"""Several sub-reactors scale further than one reactor, with or without a pool."""

from __future__ import annotations

from app.experiments.cells import MAIN_SUB, POOL, REACTOR, hash_shared, plaintext_maximum
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Finding, Ratio
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
    refute="Give it one sub-reactor without workers: `main-sub:reactors=1,workers=0`.",
)
