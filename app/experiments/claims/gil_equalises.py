"""With work that holds the GIL, thread models have the same throughput."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, MAIN_SUB, POOL, PREFORK, REACTOR, cpu_shared, work
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Finding, Ratio, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence

CELL = cpu_shared(REACTOR, POOL, MAIN_SUB, BLOCKING, PREFORK)
NEEDS = (
    *(
        Ratio(CELL.key, entry.name, REACTOR.name, "achieved_per_s", None)
        for entry in (POOL, MAIN_SUB, BLOCKING)
    ),
    Ratio(CELL.key, PREFORK.name, REACTOR.name, "achieved_per_s", 1.3),
)


def check(evidence: Evidence) -> Finding:
    """Compare throughput: no difference between thread models, and processes as the contrast."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="gil-equalises",
    order=200,
    text="With work that holds the GIL, all thread models are alike.",
    tested_as=(
        "throughput of work that holds the GIL on all CPUs: no difference between reactor, pool, main-sub"
        " and blocking; processes reach at least 1.3 times as much"
    ),
    check=check,
    source=Source("D. Beazley, Understanding the Python GIL (2010)", "https://www.dabeaz.com/GIL/"),
    cells=(CELL,),
    needs=NEEDS,
    shown=("cores_used",),
    cannot_show=("An interpreter without the GIL: set THREADLAB_ENGINE_PYTHON.",),
    story=Story(
        short="The GIL makes threads alike",
        question="Is there any difference in throughput, if only one thread can compute at a time?",
        why=(
            "The GIL lets one thread of a process run Python code at a time. However many "
            "threads there are, they share one core's worth of computing. Processes have a GIL "
            "each."
        ),
        restaurant=Retelling(
            text="With a single stove, all teams cook alike.",
            question="Do more cooks serve more dishes if there is only one stove?",
            why=(
                "Only one cook can use the stove at a time. However many wait for it, the same "
                "number of dishes is cooked. A second kitchen has a stove of its own."
            ),
        ),
    ),
    refute="Let the work release the GIL: `--work 'hash 5ms'`.",
    refutations=(
        Refutation(
            "gil-released",
            "`hash` 5 ms, which releases the GIL, instead of `cpu`.",
            {"work": [work("hash", us=5000)]},
        ),
    ),
)
