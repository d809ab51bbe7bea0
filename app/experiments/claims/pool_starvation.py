"""A bounded pool starves clients while its throughput looks fine."""

from __future__ import annotations

from app.experiments.cells import CLOSED, REACTOR
from app.experiments.checks import count_result, finding, shown
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence
from app.schemas.states import VerdictName

UNFAIR_MAX, FAIR_MIN = 0.5, 0.9
BOUNDED = Entry("blocking", {"max_threads": 64}, key="blocking max_threads=64")
CELL = Cell(
    "crowd",
    "plaintext, 256 connections, maximum",
    {"executor": CLOSED, "vus": 256},
    (BOUNDED, REACTOR),
)
NEEDS = tuple(Count(CELL.key, entry.name, ("jain",)) for entry in (BOUNDED, REACTOR))


def check(evidence: Evidence) -> Finding:
    """Read Jain's index of the requests per connection."""
    unfair = count_result(
        evidence,
        NEEDS[0],
        "Jain index of requests per connection, bounded threads",
        f"predicted: at most {UNFAIR_MAX}",
        lambda index: index <= UNFAIR_MAX,
    )
    fair = count_result(
        evidence,
        NEEDS[1],
        "Jain index of requests per connection, reactor",
        f"predicted: at least {FAIR_MIN}",
        lambda index: index >= FAIR_MIN,
    )
    beside = shown(evidence, CELL.key, (BOUNDED.name, REACTOR.name), "achieved_per_s")
    return finding([unfair, fair], *beside)


CLAIM = Claim(
    id="pool-starvation",
    order=250,
    text="A bounded thread pool starves clients while its throughput looks fine.",
    tested_as=(
        "Jain index of requests per connection: at most 0.5 with 64 threads for 256 connections, at least "
        "0.9 with a reactor"
    ),
    check=check,
    source=Source(
        "M. Welsh, D. Culler, E. Brewer, SEDA (SOSP 2001)", "https://dl.acm.org/doi/10.1145/502034.502057"
    ),
    model="blocking",
    cells=(CELL,),
    needs=NEEDS,
    shown=("achieved_per_s",),
    tolerates=frozenset(VerdictName) - {VerdictName.DEGRADED},
    cannot_show=("Clients that give up: here they wait.",),
    story=Story(
        short="A bounded pool starves clients",
        question=(
            "How evenly are requests shared among connections, if there are fewer threads than connections?"
        ),
        why=(
            "A thread stays with its connection while that sends requests. With 64 threads for "
            "256 connections, 192 connections wait until another one closes, although "
            "throughput is as high as ever."
        ),
        restaurant=Retelling(
            text="With too few waiters, some tables are never served.",
            question="How evenly are tables served if 64 waiters stay with 64 of 256 tables?",
            why=(
                "A waiter stays with a table as long as it orders. The other tables wait, "
                "although as many dishes are served as ever."
            ),
        ),
    ),
    refute="Allow a thread for each connection: `blocking:max_threads=256`.",
    refutations=(
        Refutation(
            "thread-each",
            "A thread for each of the 256 connections.",
            entries={BOUNDED.name: Entry("blocking", {"max_threads": 256})},
            words={"bounded threads": "a thread for each"},
        ),
    ),
)
