"""Threads serve as many requests as events do."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, REACTOR, plaintext_maximum, work
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Finding, Ratio, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence

CELLS = tuple(plaintext_maximum(BLOCKING, REACTOR, vus=connections) for connections in (64, 1000))
NEEDS = tuple(
    Ratio(cell.key, BLOCKING.name, REACTOR.name, "achieved_per_s", None, cell.title) for cell in CELLS
)


def check(evidence: Evidence) -> Finding:
    """Compare throughput at both numbers of connections."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="threads-equal-events",
    order=220,
    text="Threads can serve as many requests as events do.",
    tested_as="throughput of plaintext with 64 and 1,000 active connections: no difference to the reactor",
    check=check,
    source=Source(
        "R. von Behren, J. Condit, E. Brewer, Why Events Are a Bad Idea (HotOS 2003)",
        "https://www.usenix.org/conference/hotos-ix/why-events-are-bad-idea-high-concurrency-servers",
    ),
    model="blocking",
    cells=CELLS,
    needs=NEEDS,
    shown=("switches",),
    cannot_show=("The user-level threads of the paper: these are threads of the kernel, with the GIL.",),
    story=Story(
        short="Threads serve as many as events",
        question=(
            "Is there any difference in throughput between a thread for each connection and one event loop?"
        ),
        why=(
            "A thread costs a context switch for each request, an event loop a look-up. Under a "
            "GIL, each switch between threads also passes the lock on."
        ),
        restaurant=Retelling(
            text="A waiter for each table serves as many as one for all.",
            question="Do many waiters, each with one table, serve as many dishes as one for all?",
            why=("Waiters who share one kitchen pass each other in the door. One waiter has the door alone."),
        ),
    ),
    refute="Add work to each request, such as `--work 'cpu 1ms'`: the switches disappear beside it.",
    refutations=(
        Refutation(
            "more-work",
            "`cpu` 1 ms instead of plaintext.",
            {"work": [work("cpu", us=1000)]},
            words={"plaintext": "cpu 1 ms"},
        ),
    ),
)
