"""A single reactor cannot use several cores."""

from __future__ import annotations

from app.experiments.cells import POOL, REACTOR, hash_shared
from app.experiments.checks import count_result, finding, ratio_result
from app.experiments.claim import Claim, Count, Entry, Finding, Ratio, Refutation, Retelling, Story
from app.experiments.evidence import Evidence

MARGIN = 1.3
CORES_MAX = 1.05
CELL = hash_shared(REACTOR, POOL)
RATIO = Ratio(CELL.key, POOL.name, REACTOR.name, "achieved_per_s", MARGIN)
CORES = Count(CELL.key, REACTOR.name, ("cores_used",), trials=3)


def check(evidence: Evidence) -> Finding:
    """Compare throughput with the pool's, and read the cores that the reactor used."""
    cores = count_result(
        evidence,
        CORES,
        "Cores used by the reactor",
        f"predicted: at most {CORES_MAX}",
        lambda used: used <= CORES_MAX,
    )
    return finding([ratio_result(evidence, RATIO), cores])


CLAIM = Claim(
    id="reactor-one-core",
    order=50,
    text="A single reactor thread cannot use several cores.",
    tested_as=(
        "throughput of work that releases the GIL on all CPUs: the pool's is at least 1.3 times the "
        "reactor's, and the reactor uses at most 1.05 cores"
    ),
    check=check,
    model="reactor",
    cells=(CELL,),
    needs=(RATIO, CORES),
    cannot_show=("Work that holds the GIL: with it no thread model uses several cores.",),
    story=Story(
        short="One thread, one core",
        question=(
            "How much more throughput has a pool than a single reactor, if the work can use several cores?"
        ),
        why=(
            "One thread runs on one core at a time. The pool's workers run on all cores, if "
            "their work releases the GIL."
        ),
        restaurant=Retelling(
            text="One waiter who also cooks can use only one stove.",
            question=(
                "How many more dishes do a waiter and four cooks serve than one waiter who also cooks?"
            ),
            why="One person works at one stove. Four cooks use every stove of the kitchen.",
        ),
    ),
    refute="Give the pool one worker: `threadlab compare reactor reactor-pool:workers=1 --view ceiling`.",
    refutations=(
        Refutation(
            "one-worker", "A pool of one worker.", entries={POOL.name: Entry(POOL.model, {"workers": 1})}
        ),
    ),
)
