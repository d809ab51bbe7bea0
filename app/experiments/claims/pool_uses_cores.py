"""A worker pool uses several cores."""

from __future__ import annotations

from app.experiments.cells import POOL, REACTOR, hash_shared
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Finding, Ratio
from app.experiments.evidence import Evidence

CELL = hash_shared(REACTOR, POOL)
NEEDS = (Ratio(CELL.key, POOL.name, REACTOR.name, "cores_used", 1.3),)


def check(evidence: Evidence) -> Finding:
    """Compare the cores that both used."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="pool-uses-cores",
    order=80,
    text="A reactor with a worker pool makes better use of the CPUs.",
    tested_as="cores used by work that releases the GIL: at least 1.3 times the reactor's",
    check=check,
    model="reactor-pool",
    cells=(CELL,),
    needs=NEEDS,
    shown=("achieved_per_s",),
    cannot_show=("Work that holds the GIL: see gil-equalises.",),
    refute="Give the pool one worker: `threadlab compare reactor reactor-pool:workers=1 --view ceiling`.",
)
