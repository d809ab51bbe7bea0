"""Blocking I/O needs a thread for each connection."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, CLOSED
from app.experiments.checks import count_result, finding
from app.experiments.claim import Cell, Claim, Count, Finding
from app.experiments.evidence import Evidence
from app.schemas.experiment import TestResult

CONNECTIONS = (10, 100, 1000)
ACCEPTOR = 1


def _need(connections: int) -> Count:
    return Count(f"connections-{connections}", BLOCKING.name, ("threads_peak",), trials=1)


def check(evidence: Evidence) -> Finding:
    """Count the threads at each number of connections."""
    return finding([_count(evidence, connections) for connections in CONNECTIONS])


def _count(evidence: Evidence, connections: int) -> TestResult:
    return count_result(
        evidence,
        _need(connections),
        f"Threads at {connections:,} connections",
        f"predicted: {connections:,} + {ACCEPTOR} acceptor",
        lambda threads: threads == connections + ACCEPTOR,
    )


CLAIM = Claim(
    id="blocking-thread-per-connection",
    order=10,
    text="The blocking model needs a dedicated thread for each connection.",
    tested_as="threads of the engine at 10, 100 and 1,000 connections: connections + acceptor",
    check=check,
    model="blocking",
    cells=tuple(
        Cell(
            f"connections-{connections}",
            f"{connections:,} connections",
            {"executor": CLOSED, "vus": connections, "think_time_ms": 100},
            (BLOCKING,),
        )
        for connections in CONNECTIONS
    ),
    needs=tuple(map(_need, CONNECTIONS)),
    cannot_show=("Whether a thread is expensive: see the claims on memory and on idle threads.",),
    refute="Cap the threads: `threadlab run blocking --set max_threads=64 --vus 100`. Connections then wait.",
)
