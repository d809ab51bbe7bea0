"""The one thread of a reactor becomes the bottleneck while other CPUs are idle."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from app.experiments.cells import CLOSED, HASH_US, REACTOR, work
from app.experiments.checks import count_result, finding
from app.experiments.claim import Cell, Claim, Count, Finding, Refutation, Retelling, Story
from app.experiments.curve import Curve, Mark, Point
from app.experiments.evidence import Evidence

OCCUPIED_MIN, IDLE_MIN = 0.90, 0.30
CONNECTIONS = (1, 2, 4, 16)
GROWTH = 1.10  # of the throughput from one number of connections to the next; below it, the knee is reached


def _cell(connections: int) -> Cell:
    plan = {"executor": CLOSED, "vus": connections, "placement": "shared", "work": [work("hash", us=HASH_US)]}
    return Cell(
        f"hash-{connections}",
        f"hash {HASH_US / 1000:g} ms, {connections} connections, all CPUs",
        plan,
        (REACTOR,),
    )


def _need(connections: int) -> Count:
    figures = ("occupied:reactor", "idlest_cpu", "achieved_per_s")
    return Count(f"hash-{connections}", REACTOR.name, figures, trials=1)


def knee(evidence: Evidence) -> int:
    """Return the number of connections from which on the throughput grows by less than 10 %."""
    rates = {
        connections: evidence.values(f"hash-{connections}", REACTOR.name, "achieved_per_s")
        for connections in CONNECTIONS
    }
    for fewer, more in pairwise(CONNECTIONS):
        if rates[fewer] and rates[more] and median(rates[more]) < GROWTH * median(rates[fewer]):
            return more
    return CONNECTIONS[-1]


def check(evidence: Evidence) -> Finding:
    """Read the utilisation of the reactor and of the idlest CPU at the knee."""
    at = knee(evidence)
    occupied = count_result(
        evidence,
        _need(at),
        f"Utilisation of the reactor at the knee ({at} connections)",
        f"predicted: at least {100 * OCCUPIED_MIN:.0f} %",
        lambda share: share >= OCCUPIED_MIN,
    )
    idle = count_result(
        evidence,
        Count(f"hash-{at}", REACTOR.name, ("idlest_cpu",)),
        "Idle share of the idlest CPU there",
        f"predicted: at least {100 * IDLE_MIN:.0f} %",
        lambda share: share >= IDLE_MIN,
    )
    return finding([occupied, idle])


def claimed(evidence: Evidence) -> Mark | None:
    """Return the knee, from which on further connections add less than 10 %."""
    if len(CURVE.medians(evidence, POINTS)) < len(CONNECTIONS):
        return None
    return Mark(f"knee: {knee(evidence)} connections", x=knee(evidence))


POINTS = tuple(Point(connections, f"hash-{connections}", REACTOR.name) for connections in CONNECTIONS)
CURVE = Curve("achieved_per_s", "Connections", ((REACTOR.name, POINTS),), claimed)
CLAIM = Claim(
    id="reactor-saturates",
    order=70,
    text="The one thread of the reactor becomes the bottleneck.",
    tested_as=(
        "connections are added until the throughput grows by less than 10 %: there the reactor is at least "
        "90 % occupied, while a CPU is at least 30 % idle"
    ),
    check=check,
    model="reactor",
    cells=tuple(map(_cell, CONNECTIONS)),
    needs=tuple(map(_need, CONNECTIONS)),
    curve=CURVE,
    cannot_show=("Occupied is not on a CPU: a thread in a system call counts as occupied.",),
    story=Story(
        short="The one thread is the limit",
        question="How busy is the reactor's thread when more connections bring no more throughput?",
        why=(
            "Once the one thread is always occupied, further connections only wait longer. The "
            "other CPUs stay idle, because there is no second thread to use them."
        ),
        restaurant=Retelling(
            text="The one waiter becomes the limit of the restaurant.",
            question="How busy is the only waiter when more guests bring no more dishes?",
            why=(
                "Once the only waiter never rests, further guests only wait longer, however "
                "many stoves stand cold."
            ),
        ),
    ),
    refute="Pin the server to one CPU (`--placement split` on two CPUs): no CPU of the server is idle then.",
    refutations=(
        Refutation(
            "pinned",
            "Server and load generator run on different CPUs.",
            {"placement": "split"},
        ),
    ),
)
