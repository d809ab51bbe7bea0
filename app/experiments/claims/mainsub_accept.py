"""With a separate main reactor, accepting does not wait for requests."""

from __future__ import annotations

from app.experiments.cells import CLOSED, MAIN_SUB, REACTOR, work
from app.experiments.checks import finding, ratio_result, shown
from app.experiments.claim import Cell, Claim, Finding, Ratio, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.schemas.states import VerdictName

MARGIN = 2.0
NEW = "new"  # the load group that opens connections
CELL = Cell(
    "flood",
    "hash work on 32 kept connections; a group opens 100 new connections per second",
    {
        "executor": CLOSED,
        "vus": 32,
        "placement": "shared",
        "work": [work("hash", us=1000)],
        "groups": [{"name": NEW, "vus": 32, "rate_per_s": 100, "churn": True, "work": [work("plaintext")]}],
    },
    (REACTOR, MAIN_SUB),
)
NEEDS = tuple(
    Ratio(CELL.key, REACTOR.name, MAIN_SUB.name, figure, MARGIN)
    for figure in ("accept_queue_mean", "accept_wait_us")
)


def check(evidence: Evidence) -> Finding:
    """Compare the depth of the accept queue and the wait in it; show the time to the first byte."""
    beside = shown(evidence, CELL.key, (REACTOR.name, MAIN_SUB.name), f"{NEW}:p50_us", f"{NEW}:p99_us")
    return finding([ratio_result(evidence, need) for need in NEEDS], *beside)


CLAIM = Claim(
    id="mainsub-accept",
    order=110,
    text="In the main-sub model accepting is separated from processing.",
    tested_as=(
        "depth of the listener's accept queue, and the time from a completed handshake to accept(), while "
        "kept connections flood the engine: the reactor's are at least twice those of main-sub"
    ),
    check=check,
    model="main-sub",
    cells=(CELL,),
    needs=NEEDS,
    shown=(f"{NEW}:p50_us", f"{NEW}:p99_us"),
    tolerates=frozenset((VerdictName.SERVER_BOUND, VerdictName.KERNEL_DROPS, VerdictName.RATE_MISSED)),
    cannot_show=(
        "The wait is computed from the mean depth and the rate of accepts (Little's law), not observed "
        "for each "
        "connection.",
        "An accepted connection may still wait for a sub-reactor: the time to the first byte includes that.",
    ),
    story=Story(
        short="Accepting is separate",
        question="How much longer is the accept queue of a busy reactor than that of main-sub?",
        why=(
            "The reactor accepts in the same loop in which it handles requests, so new "
            "connections wait behind handlers. In main-sub another thread does nothing but "
            "accept."
        ),
        restaurant=Retelling(
            text="A host at the door seats guests while waiters serve.",
            question="How much longer is the queue at the door if the only waiter must also seat guests?",
            why=("A waiter who serves tables comes to the door late. A host at the door does nothing else."),
        ),
    ),
    refute="Let the kept connections idle: `--vus 1 --think 1000`. Accepting then waits for nothing.",
    refutations=(
        Refutation(
            "no-flood",
            "One kept connection with 1 s between requests instead of 32 busy ones.",
            {"vus": 1, "think_time_ms": 1000},
        ),
    ),
)
