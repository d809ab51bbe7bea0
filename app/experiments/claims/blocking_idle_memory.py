"""An idle connection costs a thread's memory in the blocking model."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, REACTOR
from app.experiments.claim import Claim, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.experiments.slopes import idle_cells, idle_needs, slope_finding

FACTOR = 2.0


def check(evidence: Evidence) -> Finding:
    """Compare the memory that each further idle connection adds."""
    return slope_finding(evidence, BLOCKING.name, REACTOR.name, FACTOR)


CLAIM = Claim(
    id="blocking-idle-memory",
    order=20,
    text="Idle connections cost the blocking model resources.",
    tested_as=(
        "memory and kernel stacks that each further idle connection adds, between 1,000 and 5,000 of "
        "them: at least twice those of the reactor (the article; D. Kegel, The C10K problem)"
    ),
    check=check,
    model="blocking",
    cells=idle_cells(BLOCKING, REACTOR),
    needs=idle_needs(BLOCKING, REACTOR),
    cannot_show=(
        "Address space: each thread reserves 8 MiB of it, of which only the touched pages count here.",
        "Memory of the kernel's sockets, which is the same in every model.",
    ),
    story=Story(
        short="Idle connections cost memory",
        question="How much memory does one more idle connection cost?",
        why=(
            "A thread has a stack and kernel structures even while it only waits. A reactor "
            "keeps a small object and a file descriptor for an idle connection."
        ),
        restaurant=Retelling(
            text="Tables whose guests only sit there cost wages.",
            question="What does one more silent table cost?",
            why=(
                "A waiter who stands at a silent table is paid all the same. One waiter for all "
                "tables needs only a line in the notebook for each."
            ),
        ),
    ),
    refute="Use fewer idle connections than the allocator's noise: 10 instead of 1,000.",
    refutations=(
        Refutation(
            "few-idle",
            "10 and 50 idle connections instead of 1,000 and 5,000.",
            plans={"idle-1000": {"idle_connections": 10}, "idle-5000": {"idle_connections": 50}},
        ),
    ),
)
