"""Worker processes on one listening socket get uneven shares of the connections."""

from __future__ import annotations

from dataclasses import replace

from app.experiments.cells import CLOSED
from app.experiments.checks import count_result, finding, shown
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence
from app.schemas.states import VerdictName

UNEVEN_MAX = 0.9  # Jain's index over the worker processes: 1 is an equal share
PROCESSES = 4


def _prefork(accept: str) -> Entry:
    return Entry("prefork", {"processes": PROCESSES, "accept": accept}, key=accept)


SHARED, EXCLUSIVE, REUSEPORT = map(_prefork, ("shared", "exclusive", "reuseport"))
CELL = Cell(
    "accept",
    f"plaintext, 64 connections, {PROCESSES} worker processes",
    {"executor": CLOSED, "vus": 64, "think_time_ms": 5},
    (SHARED, EXCLUSIVE, REUSEPORT),
)
NEEDS = tuple(Count(CELL.key, entry.name, ("worker_fairness",), trials=3) for entry in CELL.entries)


def check(evidence: Evidence) -> Finding:
    """Read Jain's index of the requests of the worker processes on one socket; show the other ways."""
    result = count_result(
        evidence,
        NEEDS[0],
        "Jain index of requests per worker process, one shared listening socket",
        f"predicted: at most {UNEVEN_MAX}",
        lambda index: index <= UNEVEN_MAX,
    )
    names = [entry.name for entry in CELL.entries]
    beside = shown(evidence, CELL.key, names, "worker_fairness", "p99_us", "jain")
    return finding([result], *beside)


CLAIM = Claim(
    id="accept-skew",
    order=270,
    text="Worker processes that share a listening socket get uneven shares.",
    tested_as=(
        f"Jain index of the requests of {PROCESSES} worker processes with 64 connections: at most "
        f"{UNEVEN_MAX} on one shared socket; exclusive wake-ups and a socket for each are shown beside it"
    ),
    check=check,
    source=Source("gunicorn issue 2465 and uvicorn issue 2472"),
    model="prefork",
    cells=(CELL,),
    needs=NEEDS,
    shown=("p99_us", "jain"),
    tolerates=frozenset((VerdictName.CLIENT_BOUND,)),
    cannot_show=("Which process the kernel prefers, and why: it depends on the order of waiting.",),
    story=Story(
        short="Uneven shares of one socket",
        question="How evenly are requests shared among worker processes on one listening socket?",
        why=(
            "All workers wake when a connection arrives, and the quickest one takes it. A busy "
            "or slow worker gets fewer connections, and those stay where they are."
        ),
        restaurant=Retelling(
            text="Restaurants that share one door get uneven crowds.",
            question="How evenly do guests spread over four kitchens behind one door?",
            why="Whoever is quickest at the door takes the guests, and guests stay where they sit.",
        ),
    ),
    refute="Give each process its own socket: `--set accept=reuseport`.",
    refutations=(
        Refutation(
            "own-sockets",
            "Each process has its own socket.",
            entries={SHARED.name: replace(REUSEPORT, copy=1)},
            words={"one shared listening socket": "a socket for each"},
        ),
    ),
)
