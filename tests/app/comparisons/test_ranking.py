"""The rule of the ranking: equal entries are rarely called different, and a factor of two always is."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations, permutations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.comparisons.ranking import (
    ALPHA,
    GAP_FEW_TRIALS,
    GAP_WITH_TEST,
    RULE,
    TRIALS_FOR_TEST,
    is_better,
    p_value,
    rank,
    spread,
)

TRIALS = (1, 2, 3, 4, 5, 7, 10)
PAIRS = 100_000  # simulated with a fixed seed; fewer pairs with more trials
FALSE_MAX = 0.05
costs = st.floats(0.1, 10_000, allow_nan=False)
entries = st.lists(st.lists(costs, max_size=10), min_size=1, max_size=6)
Noise = Callable[[random.Random], float]

NOISES: dict[str, Noise] = {
    "normal 5 %": lambda r: r.gauss(1, 0.05),
    "lognormal 5 %": lambda r: r.lognormvariate(0, 0.05),
    "uniform ± 8 %": lambda r: r.uniform(0.92, 1.08),
}
# Too strong for single trials: one run in ten is disturbed, or the machine drifts by ± 15 %.
STRONG_NOISES: dict[str, Noise] = {
    "disturbed": lambda r: r.gauss(1, 0.03) * (1.3 if r.random() < 0.1 else 1),
    "uniform ± 15 %": lambda r: r.uniform(0.85, 1.15),
}


def false_calls(noise: Noise, trials: int) -> float:
    """Return the share of pairs of equal entries of which one is called better."""
    dice, pairs = random.Random(trials), PAIRS // trials**2
    count = 0
    for _ in range(pairs):
        ours, theirs = ([noise(dice) for _ in range(trials)] for _ in "ab")
        count += is_better(ours, theirs, True) or is_better(theirs, ours, True)
    return count / pairs


def first_here_others_in_full(noises: dict[str, Noise]) -> pytest.MarkDecorator:
    """Use the first noise in the default suite, and all in `full`: 100,000 pairs take long."""
    first, *others = noises
    return pytest.mark.parametrize(
        "noise", [first, *(pytest.param(each, marks=pytest.mark.full) for each in others)]
    )


@pytest.mark.parametrize("trials", TRIALS)
@first_here_others_in_full(NOISES)
def test_equal_entries_are_rarely_called_different(noise: str, trials: int) -> None:
    assert false_calls(NOISES[noise], trials) <= FALSE_MAX


@pytest.mark.parametrize("trials", [n for n in TRIALS if n >= 3])
@first_here_others_in_full(STRONG_NOISES)
def test_from_three_trials_on_this_holds_with_strong_noise(noise: str, trials: int) -> None:
    assert false_calls(STRONG_NOISES[noise], trials) <= FALSE_MAX


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("noise", NOISES | STRONG_NOISES)
def test_a_factor_of_two_is_always_called(noise: str, trials: int) -> None:
    dice = random.Random(trials)
    draw = (NOISES | STRONG_NOISES)[noise]
    for _ in range(200):
        ours, theirs = ([scale * draw(dice) for _ in range(trials)] for scale in (1, 2))
        assert is_better(ours, theirs, True) and is_better(theirs, ours, False)


def test_six_equal_entries_with_five_trials_are_rarely_ranked() -> None:
    dice = random.Random(6)
    tables = [[[dice.gauss(1, 0.05) for _ in range(5)] for _ in range(6)] for _ in range(300)]
    assert sum(len(set(rank(table, True).places.values())) > 1 for table in tables) / len(tables) <= 0.1


def test_for_single_trials_the_gap_decides() -> None:
    assert not is_better([100], [114.9], True)
    assert is_better([100], [115.1], True)
    assert is_better([115.1], [100], False)


def test_a_few_overlapping_trials_are_too_close_whatever_the_gap() -> None:
    assert not is_better([10, 10, 31], [30, 30, 30], True)
    assert is_better([10, 10, 29], [30, 30, 30], True)


def test_ten_trials_resolve_a_gap_that_one_trial_cannot() -> None:
    assert not is_better([100], [108], True)
    assert is_better([100 + i / 10 for i in range(10)], [108 + i / 10 for i in range(10)], True)
    smaller_gap = [103 + i / 10 for i in range(10)]
    assert not is_better([100 + i / 10 for i in range(10)], smaller_gap, True)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (3, 3), (4, 2)])
def test_the_p_value_matches_the_enumeration_of_all_orders(n: int, m: int) -> None:
    wins = [
        sum(a < b for a in ours for b in set(range(n + m)) - set(ours))
        for ours in combinations(range(n + m), n)
    ]
    for least in range((n * m) // 2 + 1, n * m + 1):
        either = sum(each >= least for each in wins) + sum(n * m - each >= least for each in wins)
        assert p_value(n, m, least) == pytest.approx(either / len(wins))


def test_five_separated_trials_are_significant_and_four_are_not() -> None:
    assert p_value(4, 4, 16) > ALPHA >= p_value(TRIALS_FOR_TEST, TRIALS_FOR_TEST, 25)


@given(st.lists(costs, min_size=1, max_size=10), st.lists(costs, min_size=1, max_size=10), st.booleans())
def test_better_is_exclusive_and_never_against_the_medians(
    ours: list[float], theirs: list[float], lower: bool
) -> None:
    better, worse = is_better(ours, theirs, lower), is_better(theirs, ours, lower)
    assert not (better and worse)
    if better:
        ratio = median(theirs) / median(ours)
        assert (ratio if lower else 1 / ratio) >= 1 + GAP_WITH_TEST * 0.999
    assert not is_better(ours, ours, lower)


@given(entries, st.booleans())
def test_a_ranking_is_consistent(values: list[list[float]], lower: bool) -> None:
    ranking = rank(values, lower)
    assert sorted(ranking.order) == sorted(ranking.places) == [i for i, each in enumerate(values) if each]
    if ranking.order:
        assert ranking.places[ranking.order[0]] == 1  # no entry is better than the one with the best median
    for i, beaten in ranking.better_than.items():
        assert all(is_better(values[i], values[j], lower) for j in beaten)
    for i, place in ranking.places.items():
        assert place == 1 + sum(i in beaten for beaten in ranking.better_than.values())
    for group in ranking.groups:
        assert len(group) > 1
        assert not any(j in ranking.better_than[i] for i, j in permutations(group, 2))
        at = ranking.order.index(group[0])
        assert ranking.order[at : at + len(group)] == group


@given(entries, st.floats(0.001, 1000))
def test_the_ranking_does_not_depend_on_the_unit(values: list[list[float]], scale: float) -> None:
    gaps = [abs(median(a) / median(b) - 1) for a, b in permutations([each for each in values if each], 2)]
    if any(abs(gap - limit) < 1e-6 for gap in gaps for limit in (GAP_FEW_TRIALS, GAP_WITH_TEST)):
        return  # at the limit, rounding decides
    scaled = rank([[scale * value for value in each] for each in values], True)
    assert scaled.places == rank(values, True).places


@given(st.lists(costs, max_size=20))
def test_a_spread_is_in_order_and_has_the_number_of_values(values: list[float]) -> None:
    found = spread(values)
    if not values:
        assert found is None
        return
    assert found and found.n == len(values)
    inner = (
        [found.q1, found.median, found.q3]
        if found.q1 is not None and found.q3 is not None
        else [found.median]
    )
    assert [found.minimum, *inner, found.maximum] == sorted([found.minimum, *inner, found.maximum])
    assert (found.q1 is None) == (found.n < 4)


def test_the_rule_names_its_numbers() -> None:
    for number in (GAP_FEW_TRIALS, GAP_WITH_TEST, ALPHA):
        assert f"{number:.0%}".replace("%", " %") in RULE
