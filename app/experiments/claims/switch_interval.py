"""A shorter switch interval of the GIL helps threads that do I/O beside computing ones."""

from __future__ import annotations

from app.experiments.cells import OPEN, work
from app.experiments.checks import check_ratios
from app.experiments.claim import Cell, Claim, Entry, Finding, Ratio, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence

MARGIN = 1.3


def _pool(interval_us: int) -> Entry:
    return Entry("reactor-pool", {"switch_interval_us": interval_us}, key=f"{interval_us / 1000:g} ms")


LONG, SHORT = _pool(5000), _pool(500)
CELL = Cell(
    "mixed",
    "500 req/s, 10 % of them compute for 5 ms",
    {
        "executor": OPEN,
        "rate_per_s": 500,
        "spacing": "poisson",
        "vus": 64,
        "duration_s": 3,
        "work": [work("plaintext", 90), work("cpu", 10, us=5000)],
    },
    (LONG, SHORT),
)
NEEDS = (Ratio(CELL.key, LONG.name, SHORT.name, "plaintext.p99_us", MARGIN),)


def check(evidence: Evidence) -> Finding:
    """Compare the p99 of plaintext."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="switch-interval",
    order=260,
    text="A shorter GIL switch interval helps I/O threads beside CPU work.",
    tested_as=(
        "p99 of plaintext in a pool, beside 10 % of requests that compute for 5 ms: at 5 ms / at 0.5 ms, 1.3"
    ),
    check=check,
    source=Source(
        "D. Beazley, Inside the New GIL (2010), on the convoy effect",
        "https://www.dabeaz.com/python/NewGIL.pdf",
    ),
    model="reactor-pool",
    cells=(CELL,),
    needs=NEEDS,
    shown=("switches",),
    cannot_show=("The price in throughput of more frequent switches: see `switches`.",),
    story=Story(
        short="A shorter switch interval helps",
        question="How much longer do short requests wait at a switch interval of 5 ms than at 0.5 ms?",
        why=(
            "A thread that wants the GIL asks for it and waits for the switch interval before "
            "the running thread must give it up. A short request beside computing ones waits "
            "that long each time."
        ),
        restaurant=Retelling(
            text="Cooks who yield the stove sooner help quick dishes.",
            question=("How much longer do quick dishes wait if a cook may keep the stove ten times as long?"),
            why="A cook who needs the stove for a moment must wait until the other one's time is over.",
        ),
    ),
    refute="Let the work release the GIL (`hash`): nothing waits for the interval then.",
    refutations=(
        Refutation(
            "gil-released",
            "The computation releases the GIL (`hash`).",
            {"work": [work("plaintext", 90), work("hash", 10, us=5000)]},
        ),
    ),
)
