"""A proactor needs fewer I/O system calls."""

from __future__ import annotations

from app.experiments.cells import PROACTOR, REACTOR, plaintext_maximum
from app.experiments.checks import bound_result, finding
from app.experiments.claim import Claim, Count, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.schemas.states import VerdictName

FACTOR = 2.0
CELL = plaintext_maximum(REACTOR, PROACTOR)
NEEDS = tuple(Count(CELL.key, entry.name, ("io_calls",)) for entry in (REACTOR, PROACTOR))


def check(evidence: Evidence) -> Finding:
    """Divide the calls of the reactor by those of the proactor."""
    calls = [evidence.values(CELL.key, need.entry, "io_calls") for need in NEEDS]
    factors = [of_reactor / of_proactor for of_reactor, of_proactor in zip(*calls, strict=False)]
    missing = next((need for need, values in zip(NEEDS, calls, strict=True) if not values), NEEDS[1])
    return finding(
        [
            bound_result(
                evidence,
                missing,
                factors,
                "I/O calls per request, reactor / proactor",
                f"predicted: at least {FACTOR:g}",
                lambda factor: factor >= FACTOR,
            )
        ]
    )


CLAIM = Claim(
    id="proactor-calls",
    order=140,
    text="In the proactor model the operating system performs the I/O.",
    tested_as="I/O system calls per request at 64 connections: the reactor makes at least twice as many",
    check=check,
    model="proactor",
    cells=(CELL,),
    needs=NEEDS,
    tolerates=frozenset((VerdictName.CLIENT_BOUND,)),
    cannot_show=("What the kernel does for each operation: its work does not disappear with the call.",),
    story=Story(
        short="The OS performs the I/O",
        question="How many times more system calls does a reactor make per request than a proactor?",
        why=(
            "A reactor asks which connections are ready, then calls recv() and send() for each. "
            "A proactor puts many operations into a ring, and one system call submits them all."
        ),
        restaurant=Retelling(
            text="The kitchen hatch delivers orders, nobody walks.",
            question=(
                "How many times more often does a waiter walk to the tables than one who works at a hatch?"
            ),
            why=(
                "A waiter walks to each table, to take the order and to serve. At a hatch, "
                "orders arrive and plates leave in batches."
            ),
        ),
    ),
    refute="Use one connection: there is nothing to batch, `--vus 1`.",
    refutations=(Refutation("one-connection", "One connection: there is nothing to batch.", {"vus": 1}),),
)
