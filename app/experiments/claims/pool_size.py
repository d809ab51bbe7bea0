"""The number of threads of a pool follows from wait and computation."""

from __future__ import annotations

from math import log
from statistics import median

from app.experiments.cells import CLOSED, work
from app.experiments.checks import cannot_test, finding, ratio_result
from app.experiments.claim import (
    Cell,
    Claim,
    Count,
    Entry,
    Finding,
    Need,
    Ratio,
    Refutation,
    Retelling,
    Source,
    Story,
)
from app.experiments.curve import Curve, Mark, Point
from app.experiments.evidence import Evidence

CPU_US, SLEEP_MS = 2000, 14
SIZES = (4, 6, 8)  # 8 = 1 · (1 + 7 ms / 1 ms), as planned; fewer where other work slows the computation
TOLERANCE = 1.25  # more than half a step between two sizes
WORKERS = (1, 2, 3, 4, 6, 8, 12, 16)
ENTRIES = {number: Entry("reactor-pool", {"workers": number}, key=f"workers={number}") for number in WORKERS}
CELL = Cell(
    "mixed",
    f"half of the requests compute {CPU_US / 1000:g} ms, half wait {SLEEP_MS} ms; maximum",
    {
        "executor": CLOSED,
        "vus": 64,
        "work": [work("cpu", 1, us=CPU_US), work("sleep", 1, ms=SLEEP_MS)],
    },
    tuple(ENTRIES.values()),
)
MEASURED = Count(CELL.key, ENTRIES[1].name, ("achieved_per_s", "cpu_us"))


def _to(size: int, other: int, margin: float) -> Ratio:
    """Return the throughput of a pool of `size` relative to that of another pool."""
    return Ratio(CELL.key, ENTRIES[size].name, ENTRIES[other].name, "achieved_per_s", margin)


PAIRS = {size: (_to(size, size // 2, 1.10), _to(size, 2 * size, 1 / 1.10)) for size in SIZES}


def measured_sizes(evidence: Evidence) -> list[float]:
    """Return 1 · (1 + W / C) of each valid trial.

    With one worker, W + C is the time between two responses.
    """
    rates, costs = (
        evidence.values(CELL.key, ENTRIES[1].name, figure, MEASURED.figures) for figure in MEASURED.figures
    )
    return [1e6 / rate / cost for rate, cost in zip(rates, costs, strict=True)]


def nearest_size(sizes: list[float]) -> int:
    """Return the size of pool that is nearest to the formula's, as a ratio; 8 if nothing was measured."""
    return min(SIZES, key=lambda size: abs(log(median(sizes) / size))) if sizes else SIZES[-1]


def select(evidence: Evidence) -> tuple[Need, ...]:
    """Select the formula's pool, with half and double of it."""
    return (MEASURED, *PAIRS[nearest_size(measured_sizes(evidence))])


def check(evidence: Evidence) -> Finding:
    """Compare the formula's size with half and double of it, by the measured W and C."""
    sizes = measured_sizes(evidence)
    if not sizes:
        reason = evidence.reason(CELL.key, MEASURED.entries, MEASURED.figures)
        return cannot_test(f"W and C are unknown. {reason or 'They were not measured.'}")
    size = nearest_size(sizes)
    shown = f"Measured with one worker: 1 + W/C = {', '.join(f'{each:.1f}' for each in sizes)}."
    if not 1 / TOLERANCE <= median(sizes) / size <= TOLERANCE:
        return cannot_test(f"{shown} The pools are made for {SIZES[0]} to {SIZES[-1]}.")
    results = [ratio_result(evidence, pair) for pair in PAIRS[size]]
    return finding(results, f"{shown} The formula's pool: {size} workers.")


def claimed(evidence: Evidence) -> Mark | None:
    """Return the number of workers that the formula gives for the measured W and C."""
    if not (sizes := measured_sizes(evidence)):
        return None
    size = median(sizes)
    rates = CURVE.medians(evidence, POINTS)
    best, _ = max(rates, key=lambda point: point[1])
    note = f"The highest throughput was measured with {best:g} workers; the formula gives {size:.1f}."
    return Mark(f"claimed: 1 + W/C = {size:.1f}", x=size, note=note)


POINTS = tuple(Point(number, CELL.key, entry.name) for number, entry in ENTRIES.items())
CURVE = Curve("achieved_per_s", "Workers of the pool", (("reactor-pool", POINTS),), claimed)
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
    needs=(MEASURED, *(pair for pairs in PAIRS.values() for pair in pairs)),
    selects=select,
    curve=CURVE,
    cannot_show=("Work with a varying wait: here every wait is 14 ms.",),
    story=Story(
        short="Threads = N · (1 + W/C)",
        question="Does half the number of workers lose, and does twice the number gain nothing?",
        why=(
            "While a worker waits (W), another can compute (C). So (1 + W/C) workers keep one "
            "core busy, and with the GIL there is one core to keep busy."
        ),
        restaurant=Retelling(
            text="There is a right number of cooks for one stove.",
            question="Do half as many cooks lose, and do twice as many gain nothing?",
            why=(
                "While one dish is in the oven, another cook can use the stove. Just as many "
                "cooks as fill the oven times keep the stove in use."
            ),
        ),
    ),
    refute="Let the work release the GIL: N is then the number of cores.",
    refutations=(
        Refutation(
            "gil-released",
            "The computation releases the GIL (`hash`), with all CPUs for the pool.",
            {"placement": "shared", "work": [work("hash", 1, us=CPU_US), work("sleep", 1, ms=SLEEP_MS)]},
        ),
    ),
)
