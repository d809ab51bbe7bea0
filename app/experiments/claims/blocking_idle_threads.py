"""With many idle connections, nearly all threads of the blocking model wait."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, CLOSED
from app.experiments.checks import count_result, finding
from app.experiments.claim import Cell, Claim, Count, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence

IDLE, ACTIVE = 990, 10
SHARE = 0.95
DURATION_S = 8  # the states of 1,000 threads are sampled five times per second
NEED = Count("idle", BLOCKING.name, ("waiting:connection",))


def check(evidence: Evidence) -> Finding:
    """Read the share of time in which connection threads wait."""
    title = f"Waiting connection threads, {ACTIVE} of {IDLE + ACTIVE:,} connections active"
    bound = f"predicted: at least {100 * SHARE:.0f} %"
    return finding([count_result(evidence, NEED, title, bound, lambda share: share >= SHARE)])


CLAIM = Claim(
    id="blocking-idle-threads",
    order=30,
    text="Idle connections waste threads in the blocking model.",
    tested_as="share of time in which connection threads wait, with 1 % of 1,000 connections active",
    check=check,
    model="blocking",
    cells=(
        Cell(
            "idle",
            f"{IDLE + ACTIVE:,} connections, {ACTIVE} active",
            {"executor": CLOSED, "vus": ACTIVE, "idle_connections": IDLE, "duration_s": DURATION_S},
            (BLOCKING,),
        ),
    ),
    needs=(NEED,),
    cannot_show=("What the waiting threads cost: see the claim on memory.",),
    story=Story(
        short="Idle connections waste threads",
        question="How much of the time do the threads of idle connections wait?",
        why=(
            "A thread that blocks in recv() cannot do anything else. With 1 % of the "
            "connections active, nearly all threads wait nearly all the time."
        ),
        restaurant=Retelling(
            text="Waiters at silent tables stand around.",
            question="How much of the time does a waiter at a silent table stand still?",
            why=(
                "A waiter who may leave the table only when its guests are gone stands still "
                "while they are silent. With one table in a hundred ordering, nearly all "
                "waiters do."
            ),
        ),
    ),
    refute="Make all connections active: `threadlab run blocking --vus 1000`.",
    refutations=(
        Refutation(
            "all-active",
            "All 1,000 connections are active.",
            {"vus": 1000, "idle_connections": 0},
            words={f"{ACTIVE} of": "1,000 of"},
        ),
    ),
)
