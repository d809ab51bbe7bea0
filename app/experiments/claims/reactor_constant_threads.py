"""A reactor serves any number of connections with one thread."""

from __future__ import annotations

from app.experiments.cells import CLOSED, REACTOR
from app.experiments.checks import count_result, finding
from app.experiments.claim import Cell, Claim, Count, Finding
from app.experiments.evidence import Evidence

CONNECTIONS = (1, 100, 5000)


def _need(connections: int) -> Count:
    return Count(f"connections-{connections}", REACTOR.name, ("threads_peak",), trials=1)


def check(evidence: Evidence) -> Finding:
    """Count the threads at each number of connections."""
    return finding(
        [
            count_result(
                evidence,
                _need(connections),
                f"Threads at {connections:,} connections",
                "predicted: 1",
                lambda threads: threads == 1,
            )
            for connections in CONNECTIONS
        ]
    )


CLAIM = Claim(
    id="reactor-constant-threads",
    order=40,
    text="Many connections share one blocking object in the reactor model.",
    tested_as="threads of the engine at 1, 100 and 5,000 connections: one",
    check=check,
    model="reactor",
    cells=tuple(
        Cell(
            f"connections-{connections}",
            f"{connections:,} connections",
            {"executor": CLOSED, "vus": connections, "think_time_ms": 100},
            (REACTOR,),
        )
        for connections in CONNECTIONS
    ),
    needs=tuple(map(_need, CONNECTIONS)),
    cannot_show=("How long one thread takes for all of them: see the claims on one core and on saturation.",),
    refute="Use a model with workers: `threadlab run reactor-pool --vus 100`.",
)
