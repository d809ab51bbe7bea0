"""Blocking I/O needs a thread for each connection."""

from __future__ import annotations

from app.experiments.cells import BLOCKING
from app.experiments.claim import Claim, Entry, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.experiments.thread_counts import thread_cells, thread_curve, thread_finding, thread_needs

CONNECTIONS = (10, 100, 1000)
ACCEPTOR = 1


def _predicted(connections: int) -> int:
    return connections + ACCEPTOR


def check(evidence: Evidence) -> Finding:
    """Count the threads at each number of connections."""
    return thread_finding(evidence, BLOCKING, CONNECTIONS, _predicted)


CLAIM = Claim(
    id="blocking-thread-per-connection",
    order=10,
    text="The blocking model needs a dedicated thread for each connection.",
    tested_as="threads of the engine at 10, 100 and 1,000 connections: connections + acceptor",
    check=check,
    model="blocking",
    cells=thread_cells(BLOCKING, CONNECTIONS),
    needs=thread_needs(BLOCKING, CONNECTIONS),
    curve=thread_curve(BLOCKING, CONNECTIONS, _predicted, "connections + 1"),
    cannot_show=("Whether a thread is expensive: see the claims on memory and on idle threads.",),
    story=Story(
        short="A thread for each connection",
        question="How many threads does the blocking model need?",
        why=(
            "Each connection's thread blocks in recv() until its client sends something. So a "
            "thread can serve only one connection at a time, and every further connection needs "
            "a thread of its own."
        ),
        headline=2,
        restaurant=Retelling(
            text="Each table needs a waiter of its own.",
            question="How many waiters do 10, 100 and 1,000 tables need?",
            why=(
                "Each waiter stands at one table until its guests order. So a waiter can serve "
                "only one table at a time, and every further table needs a waiter of its own."
            ),
        ),
    ),
    refute="Cap the threads: `threadlab run blocking --set max_threads=64 --vus 100`. Connections then wait.",
    refutations=(
        Refutation(
            "capped",
            "At most 64 threads: further connections wait.",
            entries={BLOCKING.name: Entry(BLOCKING.model, {"max_threads": 64})},
        ),
    ),
)
