"""A proactor can be more efficient than a reactor."""

from __future__ import annotations

from app.experiments.cells import OPEN, PROACTOR, RATE_PER_S, REACTOR, work
from app.experiments.checks import check_ratios
from app.experiments.claim import Cell, Claim, Finding, Ratio, Retelling, Story
from app.experiments.evidence import Evidence

CONNECTIONS, BODY_BYTES = (1, 64), (128, 4096)
RATE_OF_ONE = 4000  # one connection has to wait for each response


def _cell(connections: int, size: int) -> Cell:
    rate = RATE_OF_ONE if connections == 1 else RATE_PER_S
    plan = {"executor": OPEN, "rate_per_s": rate, "vus": connections, "work": [work("bytes", n=size)]}
    title = f"{size:,} B at {rate:,} req/s over {connections} connection{'s' if connections > 1 else ''}"
    return Cell(f"{connections}x{size}", title, plan, (REACTOR, PROACTOR))


CELLS = tuple(_cell(connections, size) for connections in CONNECTIONS for size in BODY_BYTES)
NEEDS = tuple(Ratio(cell.key, REACTOR.name, PROACTOR.name, "cpu_us", where=cell.title) for cell in CELLS)


def check(evidence: Evidence) -> Finding:
    """Compare CPU per request in four cells."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="proactor-efficiency",
    order=150,
    text="A proactor can yield higher efficiency.",
    tested_as=(
        "CPU per request at an equal rate, with 1 and 64 connections and bodies of 128 B and 4 KiB: the "
        "reactor needs at least 1.10 times as much (the literature: naive io_uring 1.06 to 1.10, tuned 2)"
    ),
    check=check,
    model="proactor",
    cells=CELLS,
    needs=NEEDS,
    shown=("io_calls",),
    cannot_show=(
        "A tuned ring: registered files, bundles and kernel polling are not used here.",
        "Disk I/O, where completions replace threads.",
    ),
    story=Story(
        short="A proactor is more efficient",
        question="How much more CPU time does a request cost on a reactor than on a proactor?",
        why=(
            "Fewer system calls save CPU time in the kernel. But in Python each completion is "
            "an object, and preparing an operation costs about as much as the system call that "
            "it saves."
        ),
        restaurant=Retelling(
            text="Working at a hatch saves steps.",
            question="How much more work is an order for a waiter who walks than for one at a hatch?",
            why=(
                "Fewer walks save time. But filling in a form for each order takes about as long as a walk."
            ),
        ),
    ),
    refute="It is refuted where the ratio stays below 1.10: see each cell.",
)
