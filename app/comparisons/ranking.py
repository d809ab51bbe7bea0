"""The rule by which a comparison ranks, and by which it says "too close to call". Pure.

Of two entries one is called better only if both hold:

    apart     with five trials each or more: an exact rank test (Mann-Whitney, two-sided) gives equals at most a 1 %
              chance of lying so far apart; at five trials this asks that every trial of one beat every trial of the
              other. With fewer no test can reach 1 % (three and three separate by chance in 10 %), so there every
              trial of one must beat every trial of the other
    enough    the medians differ by at least 5 %; with fewer than five trials by 15 %, the drift from one run to the
              next on a machine of two cores, for so few trials cannot tell what their own noise is

Ranks and not means, because noise here is lopsided: a run is disturbed, and then slower; none is ever too fast.
1 % and not 5 %, because six entries are fifteen pairs. Simulated, equals whose trials scatter with a standard
deviation of 5 %: at n = 1 one pair in 20 is called, at 3 one in 500, from 5 on one in 170; a whole table of six equals
has a false call in 6 or 7 % from n = 2 on. With 8 %, or with one run in ten slower by 30 %, a single trial misleads in
a fifth of the pairs and two in a tenth, three in 2 % at most, five or more in less than 1 %: so take three at least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median, quantiles

from app.schemas.comparison import Spread

ENOUGH_TRIALS = 5  # from here on the trials themselves tell the noise
CHANCE_MAX = 0.01
GAP_FEW, GAP_ENOUGH = 0.15, 0.05
QUARTILES_FROM = 4  # fewer values have no quartiles worth the name

RULE = (
    "One is called better than another only if their trials are apart and their medians differ enough. "
    "Apart: with five trials each or more, equals would lie so far apart in at most 1 % of cases (exact rank test); "
    "with fewer, every trial of one beats every trial of the other. Enough: by 5 %; with fewer than five trials by "
    "15 %, for below that a gap is noise on a small machine. Everything else is too close to call."
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What can be called among entries, which are known by their index; an entry without a trial is not in it."""

    order: tuple[int, ...]  # by median, best first
    places: dict[int, int]  # 1 + how many are called better
    better_than: dict[int, tuple[int, ...]]  # those that it is called better than
    groups: tuple[
        tuple[int, ...], ...
    ]  # neighbours in the order, none of which is called better than another


def spread(values: Sequence[float]) -> Spread | None:
    """None for no values."""
    if not values:
        return None
    q1, _, q3 = quantiles(values, method="inclusive") if len(values) >= QUARTILES_FROM else (None, None, None)
    return Spread(len(values), median(values), min(values), max(values), q1, q3)


def rank(entries: Sequence[Sequence[float]], lower_is_better: bool) -> Ranking:
    """Rank entries by the values of their trials, all above 0."""
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
    """Whether `ours` is called better than `theirs`, by the rule above."""
    few = min(len(ours), len(theirs)) < ENOUGH_TRIALS
    best, worst = (median(ours), median(theirs)) if lower_is_better else (median(theirs), median(ours))
    if worst / best - 1 < (GAP_FEW if few else GAP_ENOUGH):
        return False
    # A tie is no win, which errs towards "too close".
    wins = sum(a < b if lower_is_better else a > b for a in ours for b in theirs)
    return wins == len(ours) * len(theirs) if few else chance(len(ours), len(theirs), wins) <= CHANCE_MAX


def chance(n: int, m: int, wins: int) -> float:
    """How often equals with `n` and `m` trials are so far apart that one or the other wins at least `wins` pairs."""
    as_far = sum(_ways(n, m, each) for each in range(wins, n * m + 1))
    return min(1.0, 2 * as_far / math.comb(n + m, n))


@cache
def _ways(n: int, m: int, wins: int) -> int:
    """In how many orders of `n` and `m` values the first win just so many of the n·m pairs."""
    if n == 0 or m == 0:
        return int(wins == 0)
    if wins < 0:
        return 0
    return _ways(n - 1, m, wins - m) + _ways(
        n, m - 1, wins
    )  # the best value is one of the first, or it is not


def _groups(order: Sequence[int], better_than: dict[int, tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """The longest runs of neighbours that cannot be told apart; they may overlap."""
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(order[end] in better_than[i] for i in order[start:end]):
            end += 1
        if end - start > 1 and end > reached:
            yield tuple(order[start:end])
        reached = max(reached, end)
