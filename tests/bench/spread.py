"""A/A comparisons: how far the ratios of a model to itself spread, and what the decision rule makes of them.

    python -m tests.bench.spread [--model reactor] [--comparisons 1] [--rate 10000] [--seconds 3]

Compares a model with itself by CPU per request at an equal rate, in nine rounds of random order each. Prints
the ratios, their spread, what the rule answers, and what it would answer by simulation. Exit code 1 if a
comparison ranks one entry as better, or if fewer than four of five show no difference.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.ranking import relation
from app.lab import Lab
from app.schemas.comparison import ComparisonView, EntryPair
from app.schemas.states import Answer, Relation
from app.settings import Settings
from app.statistics.decision import BAND, ROUNDS_MAX, log_deviation, power
from tests.bench.decision_rule import simulate

WARMUP_S = 1.0
NO_DIFFERENCE_MIN = 0.8  # of the comparisons
SIMULATED = 20_000


async def compare(model: str, comparisons: int, rate: float, seconds: float) -> list[ComparisonView]:
    """Compare a model with itself in a temporary lab, several times."""
    plan = {
        "executor": "constant-arrival-rate",
        "rate_per_s": rate,
        "duration_s": seconds,
        "warmup_s": WARMUP_S,
    }
    views = []
    with tempfile.TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            for number in range(comparisons):
                request = ComparisonRequest(models=[model, model], plan=plan, rounds=ROUNDS_MAX, seed=number)
                view = await lab.comparisons.submit(request)
                views.append(await lab.comparisons.finished(view.id))
                print_pair(number, pair_of(views[-1]))
    return views


def pair_of(view: ComparisonView) -> EntryPair:
    """Return the only pair of an A/A comparison."""
    assert view.result
    return view.result.pairs[0]


def print_pair(number: int, pair: EntryPair) -> None:
    """Print the ratios of a comparison, and the answer."""
    ratios = " ".join(f"{ratio:.3f}" for ratio in pair.ratios)
    print(f"{number + 1:3}  {ratios}  {pair.relation}", flush=True)


def print_spread(ratios: Sequence[float]) -> None:
    """Print the spread of all ratios, and what the rule answers at that spread."""
    deviation = log_deviation(ratios)
    if deviation is None:
        return
    print(f"n = {len(ratios)}: {min(ratios):.3f} to {max(ratios):.3f}, deviation {100 * deviation:.1f} %")
    counts = simulate(1.0, deviation, SIMULATED)
    shares = ", ".join(
        f"{answer} {100 * counts[answer] / SIMULATED:.1f} %" for answer in Answer if counts[answer]
    )
    print(f"simulated at that deviation, true ratio 1.00: {shares}")
    print(f"power: a true ratio of 1.15 holds in {100 * power(1.15, BAND, deviation):.0f} % of experiments")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="reactor")
    parser.add_argument("--comparisons", type=int, default=1)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    views = asyncio.run(compare(args.model, args.comparisons, args.rate, args.seconds))
    pairs = [pair_of(view) for view in views]
    print_spread([ratio for pair in pairs for ratio in pair.ratios])
    relations = [relation(pair.ratios, True) for pair in pairs]
    ranked = sum(each in (Relation.BETTER, Relation.WORSE) for each in relations)
    equal = relations.count(Relation.NO_DIFFERENCE)
    print(f"{equal} of {len(pairs)} show no difference, {ranked} rank one entry as better")
    if ranked or equal < NO_DIFFERENCE_MIN * len(pairs):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
