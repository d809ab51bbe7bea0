"""A worker pool uses several cores."""

from __future__ import annotations

from app.experiments.cells import POOL, REACTOR, hash_shared
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Entry, Finding, Ratio, Refutation, Retelling, Story
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
    story=Story(
        short="A pool uses more cores",
        question="How many more cores does a pool use than a reactor?",
        why=(
            "The reactor hands each request to a worker. While the workers' work releases the "
            "GIL, they run on several cores at once."
        ),
        restaurant=Retelling(
            text="A waiter with cooks makes better use of the stoves.",
            question="How many more stoves are lit with four cooks than with one waiter who also cooks?",
            why="The waiter hands each slip to a cook, and the cooks work at several stoves at once.",
        ),
    ),
    refute="Give the pool one worker: `threadlab compare reactor reactor-pool:workers=1 --view ceiling`.",
    refutations=(
        Refutation(
            "one-worker", "A pool of one worker.", entries={POOL.name: Entry(POOL.model, {"workers": 1})}
        ),
    ),
)
