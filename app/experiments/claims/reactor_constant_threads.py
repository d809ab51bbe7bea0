"""A reactor serves any number of connections with one thread."""

from __future__ import annotations

from app.experiments.cells import POOL, REACTOR
from app.experiments.claim import Claim, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.experiments.thread_counts import thread_cells, thread_curve, thread_finding, thread_needs

CONNECTIONS = (1, 100, 5000)


def _predicted(_: int) -> int:
    return 1


def check(evidence: Evidence) -> Finding:
    """Count the threads at each number of connections."""
    return thread_finding(evidence, REACTOR, CONNECTIONS, _predicted)


CLAIM = Claim(
    id="reactor-constant-threads",
    order=40,
    text="Many connections share one blocking object in the reactor model.",
    tested_as="threads of the engine at 1, 100 and 5,000 connections: one",
    check=check,
    model="reactor",
    cells=thread_cells(REACTOR, CONNECTIONS),
    needs=thread_needs(REACTOR, CONNECTIONS),
    curve=thread_curve(REACTOR, CONNECTIONS, _predicted, "1 thread"),
    cannot_show=("How long one thread takes for all of them: see the claims on one core and on saturation.",),
    story=Story(
        short="One thread for all connections",
        question="How many threads does a reactor need for 5,000 connections?",
        why=(
            "epoll_wait() reports which of all connections have something to read. So one "
            "blocking call, on one thread, waits for all of them."
        ),
        headline=2,
        restaurant=Retelling(
            text="One waiter is enough for all tables.",
            question="How many waiters do 5,000 tables need, if each guest raises a hand to order?",
            why=(
                "Guests raise a hand, and the waiter looks where hands are up. So one waiter "
                "watches all tables."
            ),
        ),
    ),
    refute="Use a model with workers: `threadlab run reactor-pool --vus 100`.",
    refutations=(
        Refutation("with-workers", "A reactor with a pool of workers.", entries={REACTOR.name: POOL}),
    ),
)
