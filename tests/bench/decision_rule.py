"""Simulates the decision rule: how often it gives which answer, by true ratio and spread of the ratios.

    python -m tests.bench.decision_rule [--experiments 20000]

Ratios are log-normal. Up to nine rounds, margin 1.10. Prints a table for docs/results.md: for each spread
and true ratio the share of *holds*, *no difference*, *does not hold* and *too close to call*, in percent.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

from app.schemas.states import Answer
from app.statistics.decision import ROUNDS_MAX, Criterion, decide, power

MARGIN = 1.10
SPREADS = (0.017, 0.03, 0.055)  # standard deviation of the logarithm of the ratio
TRUE_RATIOS = (1.0, 1.05, 1.10, 1.15, 1.25)
ANSWERS = (Answer.HOLDS, Answer.NO_DIFFERENCE, Answer.DOES_NOT_HOLD, Answer.TOO_CLOSE)


def simulate(true_ratio: float, spread: float, experiments: int) -> Counter[Answer]:
    """Return how often each answer was given."""
    dice = random.Random(f"{true_ratio}/{spread}")
    return Counter(
        decide([true_ratio * dice.lognormvariate(0, spread) for _ in range(ROUNDS_MAX)], Criterion(MARGIN))
        for _ in range(experiments)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=20_000)
    experiments = parser.parse_args().experiments
    print("| spread | true ratio | holds | no difference | does not hold | too close | holds, by formula |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for spread in SPREADS:
        for true_ratio in TRUE_RATIOS:
            counts = simulate(true_ratio, spread, experiments)
            shares = " | ".join(f"{100 * counts[answer] / experiments:.1f} %" for answer in ANSWERS)
            formula = 100 * power(true_ratio, MARGIN, spread)
            print(f"| {100 * spread:.1f} % | {true_ratio:.2f} | {shares} | {formula:.1f} % |")


if __name__ == "__main__":
    main()
