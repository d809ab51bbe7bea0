"""How far trials of the same thing lie apart, and that the lab does not call one better: A/A.

    python -m tests.bench.spread [--model reactor] [--trials 10] [--rate 10000] [--seconds 8]

One comparison of a model with itself, in turns, by CPU a request at an equal rate. Prints each trial, the spread, and
what the rule would have said with fewer trials; exit code 1 if A/A is called, or if many trials could not be ranked.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from itertools import combinations
from pathlib import Path
from statistics import mean, median, stdev

from app.cli.comparison_report import items
from app.cli.console import show
from app.cli.in_process import follow_comparison
from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.ranking import is_better, spread
from app.lab import Lab
from app.schemas.comparison import ComparisonView
from app.settings import Settings

WARMUP_S = 2.0
FEWER = (1, 3, 5)
UNRANKED_MAX = 0.2  # a disturbed trial or two are what the rule is there for


async def compared(model: str, trials: int, rate: float, seconds: float) -> ComparisonView:
    """The model against itself, in a lab of our own."""
    plan = {
        "executor": "constant-arrival-rate",
        "rate_per_s": rate,
        "duration_s": seconds,
        "warmup_s": WARMUP_S,
    }
    with tempfile.TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            return await follow_comparison(
                lab,
                await lab.comparisons.submit(
                    ComparisonRequest(models=[model, model], plan=plan, trials=trials)
                ),
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="reactor")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--seconds", type=float, default=8)
    asked = parser.parse_args()
    view = asyncio.run(compared(asked.model, asked.trials, asked.rate, asked.seconds))
    show(*items(view))
    costs = [[run.cpu_us for run in view.runs if run.entry == i and run.cpu_us is not None] for i in (0, 1)]
    for entry, mine in zip(view.entries, costs, strict=True):
        print(f"{entry.letter} {entry.name:16}" + " ".join(f"{cost:7.2f}" for cost in mine))
    print_spread([*costs[0], *costs[1]])
    print_fewer(*costs)
    result = view.result
    assert result
    unranked = [run.why_not for run in view.runs if run.why_not]
    called = [each for each in result.standings if each.better_than]
    if called or len(unranked) > UNRANKED_MAX * view.runs_total:
        raise SystemExit(
            f"A/A was {'called' if called else 'not called'}; {len(unranked)} trials were not ranked"
        )
    print("A/A: too close to call, as it must be")


def print_spread(costs: list[float]) -> None:
    """All trials as one sample: they are of the same thing."""
    found = spread(costs)
    if found is None or found.n < 2 or found.q1 is None or found.q3 is None:
        return
    print(
        f"CPU µs a request, n = {found.n}: median {found.median:.2f}, {found.minimum:.2f} to {found.maximum:.2f}, "
        f"quartiles {found.q1:.2f} to {found.q3:.2f}, standard deviation {100 * stdev(costs) / mean(costs):.1f} %, "
        f"farthest trial {100 * max(abs(cost / median(costs) - 1) for cost in costs):.1f} % from the median"
    )


def print_fewer(ours: list[float], theirs: list[float]) -> None:
    """How often the rule would have called A/A with the first trials only, and with any few of them."""
    for trials in FEWER:
        if trials > min(len(ours), len(theirs)):
            continue
        pairs = [(a, b) for a in combinations(ours, trials) for b in combinations(theirs, trials)]
        called = sum(is_better(a, b, True) or is_better(b, a, True) for a, b in pairs)
        print(f"with any {trials} of these trials each: {called:,} of {len(pairs):,} pairs would be called")


if __name__ == "__main__":
    main()
