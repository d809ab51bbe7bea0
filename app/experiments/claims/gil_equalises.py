"""With work that holds the GIL, thread models have the same throughput."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, MAIN_SUB, POOL, PREFORK, REACTOR, cpu_shared
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Finding, Ratio, Source
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
    refute="Let the work release the GIL: `--work 'hash 5ms'`.",
)
