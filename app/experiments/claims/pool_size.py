"""The number of threads of a pool follows from wait and computation."""

from __future__ import annotations

from app.experiments.cells import CLOSED, work
from app.experiments.checks import cannot_test, finding, ratio_result
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Ratio, Source
from app.experiments.evidence import Evidence

CPU_US, SLEEP_MS = 2000, 14
THREADS = 8  # 1 · (1 + 7 ms / 1 ms): the work holds the GIL, so N = 1
TOLERANCE = 0.15


def _pool(workers: int) -> Entry:
    return Entry("reactor-pool", {"workers": workers}, key=f"workers={workers}")


ONE, HALF, FORMULA, DOUBLE = (_pool(workers) for workers in (1, THREADS // 2, THREADS, 2 * THREADS))
CELL = Cell(
    "mixed",
    f"half of the requests compute {CPU_US / 1000:g} ms, half wait {SLEEP_MS} ms; maximum",
    {
        "executor": CLOSED,
        "vus": 64,
        "work": [work("cpu", 1, us=CPU_US), work("sleep", 1, ms=SLEEP_MS)],
    },
    (ONE, HALF, FORMULA, DOUBLE),
)
MEASURED = Count(CELL.key, ONE.name, ("achieved_per_s", "cpu_us"))
HALVING = Ratio(CELL.key, FORMULA.name, HALF.name, "achieved_per_s", 1.10)
DOUBLING = Ratio(CELL.key, FORMULA.name, DOUBLE.name, "achieved_per_s", 1 / 1.10)


def formula(requests_per_s: float, cpu_us: float) -> float:
    """Return 1 · (1 + W / C): with one worker, W + C is the time between two responses."""
    return 1e6 / requests_per_s / cpu_us


def check(evidence: Evidence) -> Finding:
    """Compare the formula's size with half and double of it, if W and C are as planned."""
    rates, costs = (evidence.values(CELL.key, ONE.name, figure) for figure in MEASURED.figures)
    if not rates or not costs:
        reason = evidence.reason(CELL.key, MEASURED.entries, MEASURED.figures)
        return cannot_test(f"W and C are unknown. {reason or 'They were not measured.'}")
    sizes = [formula(rate, cost) for rate, cost in zip(rates, costs, strict=False)]
    shown = f"Measured with one worker: 1 + W/C = {', '.join(f'{size:.1f}' for size in sizes)}."
    if any(abs(size / THREADS - 1) > TOLERANCE for size in sizes):
        return cannot_test(f"{shown} The entries are made for {THREADS} (within {100 * TOLERANCE:.0f} %).")
    return finding([ratio_result(evidence, HALVING), ratio_result(evidence, DOUBLING)], shown)


CLAIM = Claim(
    id="pool-size",
    order=240,
    text="The best number of threads is N · (1 + W/C).",
    tested_as=(
        "with W and C measured, and N = 1 because the work holds the GIL: half as many workers lose more "
        "than 1.10, twice as many gain less than 1.10"
    ),
    check=check,
    source=Source("B. Goetz, Java Concurrency in Practice (2006), section 8.2"),
    model="reactor-pool",
    cells=(CELL,),
    needs=(MEASURED, HALVING, DOUBLING),
    cannot_show=("Work with a varying wait: here every wait is 14 ms.",),
    refute="Let the work release the GIL: N is then the number of cores.",
)
