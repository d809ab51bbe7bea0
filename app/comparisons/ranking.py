"""The ranking of a comparison, from the ratios of its entries within rounds: app/statistics/decision.py.

Pure. Entries are compared in pairs, with a margin of 1.10: one is better if the ratio is beyond the margin in
seven of seven rounds (eight of nine), and there is no difference if all ratios are within ±10 %. Otherwise
the two are too close to call. With six entries there are fifteen pairs, and the error rate of the rule
applies to each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median, quantiles

from app.schemas.comparison import EntryPair, Spread
from app.schemas.states import Answer, Relation
from app.statistics.decision import BAND, ROUNDS, ROUNDS_MAX, Criterion, decide, geometric_mean

CRITERION = Criterion(margin=BAND)
QUARTILES_FROM = 4  # values

RULE = (
    f"Entries are compared by the ratio of their values in the same round. One is better than another if the "
    f"ratio is beyond {BAND:.2f} in {ROUNDS} of {ROUNDS} rounds, or in {ROUNDS_MAX - 1} of {ROUNDS_MAX}. "
    f"There is no difference if the ratio is within 1/{BAND:.2f} to {BAND:.2f} in {ROUNDS} of {ROUNDS} "
    f"rounds, or in {ROUNDS_MAX} rounds with at most one above and one below. Otherwise they are too close "
    f"to call. Fewer than {ROUNDS} valid rounds show a tendency and give no place."
)

Values = Mapping[int, float]  # of one entry, by round


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of entries, which are identified by index. Entries without values are not in it."""

    order: tuple[int, ...]  # best first; those without a place last
    places: dict[int, int]  # 1 + number of better entries; of entries with enough valid rounds
    better_than: dict[int, tuple[int, ...]]  # the entries that each one is better than
    groups: tuple[tuple[int, ...], ...]  # neighbours with places of which none is better
    pairs: tuple[EntryPair, ...]  # of all entries


def spread(values: Sequence[float]) -> Spread | None:
    """Return median, range and quartiles; None: no values."""
    if not values:
        return None
    q1, _, q3 = quantiles(values, method="inclusive") if len(values) >= QUARTILES_FROM else (None, None, None)
    return Spread(len(values), median(values), min(values), max(values), q1, q3)


def rank(entries: Sequence[Values], lower_is_better: bool) -> Ranking:
    """Return the ranking of entries by their valid values, all above 0.

    An entry has a place if it has seven valid rounds, and another entry has, too.
    """
    pairs = tuple(_pair(i, j, entries, lower_is_better) for i, j in combinations(range(len(entries)), 2))
    sign = 1 if lower_is_better else -1
    known = sorted(
        (i for i, values in enumerate(entries) if values),
        key=lambda i: (sign * median(entries[i].values()), i),
    )
    placed = [i for i in known if len(entries[i]) >= ROUNDS]
    if len(placed) < 2:
        return Ranking(tuple(known), {}, {}, (), pairs)
    better_than = {i: tuple(_beaten(i, placed, pairs)) for i in placed}
    places = {i: 1 + sum(i in beaten for beaten in better_than.values()) for i in placed}
    placed.sort(key=places.__getitem__)
    others = [i for i in known if i not in places]
    return Ranking((*placed, *others), places, better_than, tuple(_groups(placed, better_than)), pairs)


def _beaten(i: int, placed: Sequence[int], pairs: Sequence[EntryPair]) -> Iterator[int]:
    """Yield the entries with places that entry `i` is better than."""
    for pair in pairs:
        if pair.a == i and pair.b in placed and pair.relation is Relation.BETTER:
            yield pair.b
        elif pair.b == i and pair.a in placed and pair.relation is Relation.WORSE:
            yield pair.a


def relation(ratios: Sequence[float], lower_is_better: bool) -> Relation:
    """Return how the first entry relates to the second, from their ratios in the order of the rounds."""
    if not ratios:
        return Relation.NOT_COMPARED
    leans = len(ratios) < ROUNDS
    upward = decide(ratios, CRITERION)
    if upward in (Answer.NO_DIFFERENCE, Answer.LEANS_NO_DIFFERENCE):
        return Relation.LEANS_NO_DIFFERENCE if leans else Relation.NO_DIFFERENCE
    is_higher = upward in _CONFIRMED
    is_lower = decide([1 / ratio for ratio in ratios], CRITERION) in _CONFIRMED
    if not (is_higher or is_lower):
        return Relation.UNCLEAR if leans else Relation.TOO_CLOSE
    if is_lower is lower_is_better:
        return Relation.LEANS_BETTER if leans else Relation.BETTER
    return Relation.LEANS_WORSE if leans else Relation.WORSE


_CONFIRMED = (Answer.HOLDS, Answer.LEANS_HOLDS)


def _pair(i: int, j: int, entries: Sequence[Values], lower_is_better: bool) -> EntryPair:
    common = sorted(entries[i].keys() & entries[j].keys())
    ratios = tuple(entries[i][number] / entries[j][number] for number in common)
    mean = geometric_mean(ratios) if ratios else None
    return EntryPair(i, j, relation(ratios, lower_is_better), ratios, mean)


def _groups(order: Sequence[int], better_than: Mapping[int, tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield the longest sequences of neighbours of which none is better; they may overlap."""
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(order[end] in better_than[i] for i in order[start:end]):
            end += 1
        if end - start > 1 and end > reached:
            yield tuple(order[start:end])
        reached = max(reached, end)
