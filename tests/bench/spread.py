"""A/A comparison: the spread of equal trials, and whether the lab wrongly ranks one entry as better.

    python -m tests.bench.spread [--model reactor] [--trials 10] [--rate 10000] [--seconds 8]

Compares a model with itself in alternated trials, by CPU per request at an equal rate. Prints each trial, the
spread, and how often fewer trials would have ranked an entry. Exit code 1 if one is ranked as better, or if
more than 20 % of the trials cannot be ranked.
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
UNRANKED_MAX = 0.2  # the rule is there to exclude a few disturbed trials


async def compare(model: str, trials: int, rate: float, seconds: float) -> ComparisonView:
    """Compare a model with itself in a temporary lab."""
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
    args = parser.parse_args()
    view = asyncio.run(compare(args.model, args.trials, args.rate, args.seconds))
    show(*items(view))
    costs = [[run.cpu_us for run in view.runs if run.entry == i and run.cpu_us is not None] for i in (0, 1)]
    for entry, mine in zip(view.entries, costs, strict=True):
        print(f"{entry.letter} {entry.name:16}" + " ".join(f"{cost:7.2f}" for cost in mine))
    print_spread([*costs[0], *costs[1]])
    print_fewer(*costs)
    result = view.result
    assert result
    unranked = [run.why_not for run in view.runs if run.why_not]
    ranked = [each for each in result.standings if each.better_than]
    if ranked or len(unranked) > UNRANKED_MAX * view.runs_total:
        raise SystemExit(
            f"A/A was {'ranked' if ranked else 'not ranked'}; {len(unranked)} trials could not be ranked"
        )
    print("A/A: too close to call, as expected")


def print_spread(costs: list[float]) -> None:
    """Print the spread of all trials as one sample: both entries are the same model."""
    cost = spread(costs)
    if cost is None or cost.n < 2 or cost.q1 is None or cost.q3 is None:
        return
    print(
        f"CPU µs/request, n = {cost.n}: median {cost.median:.2f}, {cost.minimum:.2f} to {cost.maximum:.2f}, "
        f"quartiles {cost.q1:.2f} to {cost.q3:.2f}, "
        f"standard deviation {100 * stdev(costs) / mean(costs):.1f} %, "
        f"farthest trial {100 * max(abs(each / median(costs) - 1) for each in costs):.1f} % from the median"
    )


def print_fewer(a_costs: list[float], b_costs: list[float]) -> None:
    """Print how often the rule would have ranked A/A with fewer trials, over all selections of that many."""
    for trials in FEWER:
        if trials > min(len(a_costs), len(b_costs)):
            continue
        pairs = [(a, b) for a in combinations(a_costs, trials) for b in combinations(b_costs, trials)]
        ranked = sum(is_better(a, b, True) or is_better(b, a, True) for a, b in pairs)
        print(f"with any {trials} of these trials each: {ranked:,} of {len(pairs):,} pairs would be ranked")


if __name__ == "__main__":
    main()
