"""The rule by which a comparison ranks, and by which entries are "too close to call". Pure.

An entry is better than another one only if both conditions hold:

    separated    with five or more trials each: an exact two-sided rank test (Mann-Whitney) has p <= 1 %. At
    five
                 trials this requires that every trial of one beats every trial of the other. With fewer
                 trials no test can reach 1 % (three and three are separated by chance in 10 %), so then every
                 trial of one must beat every trial of the other
    gap          the medians differ by at least 5 %; with fewer than five trials by at least 15 %, which is
    the
                 drift between runs on a machine with two cores: so few trials cannot show their own noise

Ranks instead of means, because noise is skewed: a disturbance makes a run slower, and nothing makes it too
fast. 1 % instead of 5 %, because six entries are fifteen pairs.

Simulated false calls, of equal entries whose trials have a standard deviation of 5 %: with one trial, one
pair in 20; with three, one in 500; from five on, one in 170. A table of six equal entries has a false call in
6 or 7 % from two trials on. With a deviation of 8 %, or with one run in ten slower by 30 %, one trial
misleads in a fifth of the pairs, two trials in a tenth, three in at most 2 %, five or more in less than 1 %.
So use at least three trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median, quantiles

from app.schemas.comparison import Spread

TRIALS_FOR_TEST = 5  # from here on, the trials themselves show the noise, and the rank test can reach ALPHA
ALPHA = 0.01  # significance level
GAP_FEW_TRIALS, GAP_WITH_TEST = 0.15, 0.05  # of the medians
QUARTILES_FROM = 4  # values

RULE = (
    "One model is better than another only if their trials are separated and their medians differ enough. "
    "Separated: with five or more trials each, by an exact rank test (Mann-Whitney) at the 1 % level; with "
    "fewer, if every trial of one beats every trial of the other. Enough: by 5 %; with fewer than five "
    "trials by 15 %, because a smaller difference is noise on a small machine. Otherwise they are too close "
    "to call."
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of entries, which are identified by index. Entries without values are not in it."""

    order: tuple[int, ...]  # by median, best first
    places: dict[int, int]  # 1 + number of better entries
    better_than: dict[int, tuple[int, ...]]  # the entries that each one is better than
    groups: tuple[tuple[int, ...], ...]  # neighbours in the order that are too close to call


def spread(values: Sequence[float]) -> Spread | None:
    """Return median, range and quartiles; None: no values."""
    if not values:
        return None
    q1, _, q3 = quantiles(values, method="inclusive") if len(values) >= QUARTILES_FROM else (None, None, None)
    return Spread(len(values), median(values), min(values), max(values), q1, q3)


def rank(entries: Sequence[Sequence[float]], lower_is_better: bool) -> Ranking:
    """Return the ranking of entries by the values of their trials, all above 0."""
    sign = 1 if lower_is_better else -1
    known = [i for i, values in enumerate(entries) if values]
    order = tuple(sorted(known, key=lambda i: (sign * median(entries[i]), i)))
    better_than = {
        i: tuple(j for j in order if j != i and is_better(entries[i], entries[j], lower_is_better))
        for i in order
    }
    places = {i: 1 + sum(i in beaten for beaten in better_than.values()) for i in order}
    return Ranking(order, places, better_than, tuple(_groups(order, better_than)))


def is_better(ours: Sequence[float], theirs: Sequence[float], lower_is_better: bool) -> bool:
    """Return whether `ours` is better than `theirs`, by the rule of this module. Both are not empty."""
    few = min(len(ours), len(theirs)) < TRIALS_FOR_TEST
    best, worst = (median(ours), median(theirs)) if lower_is_better else (median(theirs), median(ours))
    if worst / best - 1 < (GAP_FEW_TRIALS if few else GAP_WITH_TEST):
        return False
    # A tie counts as no win, which favours "too close to call".
    wins = sum(a < b if lower_is_better else a > b for a in ours for b in theirs)
    return wins == len(ours) * len(theirs) if few else p_value(len(ours), len(theirs), wins) <= ALPHA


def p_value(n: int, m: int, wins: int) -> float:
    """Return the exact two-sided p value of the Mann-Whitney U test.

    It is the probability that of two equal samples of `n` and `m` values, one or the other wins at least
    `wins` of the n·m pairs. (H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18, 1947.)
    """
    orders = sum(_ways(n, m, each) for each in range(wins, n * m + 1))
    return min(1.0, 2 * orders / math.comb(n + m, n))


@cache
def _ways(n: int, m: int, wins: int) -> int:
    """Return the number of orders of `n` and `m` values in which the first win exactly `wins` pairs."""
    if n == 0 or m == 0:
        return int(wins == 0)
    if wins < 0:
        return 0
    # The best value belongs to the first sample and wins m pairs, or it belongs to the second one.
    return _ways(n - 1, m, wins - m) + _ways(n, m - 1, wins)


def _groups(order: Sequence[int], better_than: dict[int, tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield the longest sequences of neighbours that are too close to call; they may overlap."""
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(order[end] in better_than[i] for i in order[start:end]):
            end += 1
        if end - start > 1 and end > reached:
            yield tuple(order[start:end])
        reached = max(reached, end)
