"""The ranking: by ratios within rounds, consistent, and independent of drift and of the unit."""

from __future__ import annotations

import random
from itertools import permutations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.comparisons.ranking import RULE, rank, relation, spread
from app.schemas.states import Relation
from app.statistics.decision import BAND, ROUNDS, ROUNDS_MAX

costs = st.floats(0.1, 10_000, allow_nan=False)
values = st.dictionaries(st.integers(1, 9), costs, max_size=9)
entries = st.lists(values, min_size=1, max_size=6)


def by_round(*of: float) -> dict[int, float]:
    return dict(enumerate(of, 1))


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.8] * 7, Relation.BETTER),
        ([1.2] * 7, Relation.WORSE),
        ([1.05] * 7, Relation.NO_DIFFERENCE),
        ([1.05] * 4 + [1.2] * 3, Relation.TOO_CLOSE),
        ([0.8] * 3, Relation.LEANS_BETTER),
        ([1.2] * 3, Relation.LEANS_WORSE),
        ([1.0] * 3, Relation.LEANS_NO_DIFFERENCE),
        ([1.2, 1.0, 1.2], Relation.UNCLEAR),
        ([], Relation.NOT_COMPARED),
    ],
)
def test_each_relation(ratios: list[float], expected: Relation) -> None:
    assert relation(ratios, lower_is_better=True) is expected
    mirrored = {
        Relation.BETTER: Relation.WORSE,
        Relation.WORSE: Relation.BETTER,
        Relation.LEANS_BETTER: Relation.LEANS_WORSE,
        Relation.LEANS_WORSE: Relation.LEANS_BETTER,
    }
    assert relation(ratios, lower_is_better=False) is mirrored.get(expected, expected)


def test_drift_of_the_machine_does_not_hide_a_difference() -> None:
    """The machine slows down by 10 % in each round: the trials overlap, their ratios do not."""
    machine = [1.1**number for number in range(7)]
    cheap, dear = (by_round(*(cost * speed for speed in machine)) for cost in (10.0, 12.0))
    assert max(cheap.values()) > min(dear.values())
    assert rank([dear, cheap], lower_is_better=True).places == {1: 1, 0: 2}


def test_equal_entries_under_strong_drift_show_no_difference() -> None:
    machine = [1.1**number for number in range(7)]
    ranking = rank([by_round(*machine), by_round(*machine)], lower_is_better=True)
    assert ranking.places == {0: 1, 1: 1} and ranking.groups == ((0, 1),)
    assert [pair.relation for pair in ranking.pairs] == [Relation.NO_DIFFERENCE]


def test_only_rounds_in_which_both_are_valid_count() -> None:
    first = {number: 10.0 for number in range(1, 8)}
    second = {number: 20.0 for number in range(3, 10)}
    (pair,) = rank([first, second], lower_is_better=True).pairs
    assert pair.ratios == (0.5,) * 5 and pair.ratio == pytest.approx(0.5)


def test_six_valid_rounds_are_too_few_for_a_place() -> None:
    ranking = rank([by_round(*[1.0] * 7), by_round(*[2.0] * 7), by_round(*[0.5] * 6)], lower_is_better=True)
    assert ranking.places == {0: 1, 1: 2} and ranking.order == (0, 1, 2)
    alone = rank([by_round(*[1.0] * 7), by_round(*[2.0] * 6)], lower_is_better=True)
    assert alone.places == {} and alone.order == (0, 1)


def test_six_equal_entries_are_not_ranked() -> None:
    dice = random.Random(6)
    for _ in range(300):
        table = [by_round(*(dice.lognormvariate(0, 0.017) for _ in range(7))) for _ in range(6)]
        assert set(rank(table, True).places.values()) == {1}


@given(entries, st.booleans())
def test_a_ranking_is_consistent(values: list[dict[int, float]], lower: bool) -> None:
    ranking = rank(values, lower)
    assert sorted(ranking.order) == [i for i, each in enumerate(values) if each]
    assert all(len(values[i]) >= ROUNDS for i in ranking.places) and len(ranking.places) != 1
    assert len(ranking.pairs) == len(values) * (len(values) - 1) // 2
    relations = {(pair.a, pair.b): pair.relation for pair in ranking.pairs}
    for i, beaten in ranking.better_than.items():
        for j in beaten:
            first, expected = (i, Relation.BETTER) if i < j else (j, Relation.WORSE)
            assert relations[first, i + j - first] is expected
    for i, place in ranking.places.items():
        assert place == 1 + sum(i in beaten for beaten in ranking.better_than.values())
    places = [ranking.places[i] for i in ranking.order if i in ranking.places]
    assert places == sorted(places) and (not places or places[0] == 1)
    for group in ranking.groups:
        assert len(group) > 1
        assert not any(j in ranking.better_than[i] for i, j in permutations(group, 2))
        at = ranking.order.index(group[0])
        assert ranking.order[at : at + len(group)] == group


@given(entries, st.sampled_from([0.25, 8.0, 1024.0]))
def test_the_ranking_does_not_depend_on_the_unit(values: list[dict[int, float]], scale: float) -> None:
    scaled = rank([{number: scale * value for number, value in each.items()} for each in values], True)
    assert scaled == rank(values, True), "powers of two change no ratio"


@given(st.lists(costs, max_size=20))
def test_a_spread_is_in_order_and_has_the_number_of_values(values: list[float]) -> None:
    found = spread(values)
    if not values:
        assert found is None
        return
    assert found and found.n == len(values) and found.median == median(values)
    inner = (
        [found.q1, found.median, found.q3]
        if found.q1 is not None and found.q3 is not None
        else [found.median]
    )
    assert [found.minimum, *inner, found.maximum] == sorted([found.minimum, *inner, found.maximum])
    assert (found.q1 is None) == (found.n < 4)


def test_the_rule_names_its_numbers() -> None:
    for text in (f"{BAND:.2f}", f"{ROUNDS} of {ROUNDS} rounds", f"{ROUNDS_MAX - 1} of {ROUNDS_MAX}"):
        assert text in RULE
