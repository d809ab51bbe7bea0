"""A proactor keeps buffers for operations that are in progress."""

from __future__ import annotations

from app.experiments.cells import PROACTOR, REACTOR
from app.experiments.claim import Claim, Finding, Retelling, Story
from app.experiments.evidence import Evidence
from app.experiments.slopes import idle_cells, idle_needs, slope_finding

FACTOR = 1.10


def check(evidence: Evidence) -> Finding:
    """Compare the memory that each further idle connection adds."""
    return slope_finding(evidence, PROACTOR.name, REACTOR.name, FACTOR)


CLAIM = Claim(
    id="proactor-memory",
    order=160,
    text="A proactor uses more memory.",
    tested_as=(
        "memory that each further idle connection adds, between 1,000 and 5,000 of them: at least 1.10 "
        "times that of the reactor"
    ),
    check=check,
    model="proactor",
    cells=idle_cells(REACTOR, PROACTOR),
    needs=idle_needs(REACTOR, PROACTOR),
    cannot_show=("Memory of the kernel: the rings and the requests that wait in them.",),
    story=Story(
        short="A proactor uses more memory",
        question="How much more memory does an idle connection cost in a proactor than in a reactor?",
        why=(
            "A receive that is pending needs a buffer and a record in the ring. With provided "
            "buffers the pending receives share a small pool, so the difference is small."
        ),
        restaurant=Retelling(
            text="A hatch needs more shelves.",
            question="How many more shelves does a silent table need at a hatch?",
            why=(
                "An order that may come at any time needs a tray. If all tables share a few "
                "trays, little is lost."
            ),
        ),
    ),
    refute="Give every pending receive its own buffer instead of provided buffers: the slope grows.",
)
