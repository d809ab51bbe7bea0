"""The decision rule, with scipy.stats as the oracle of its probabilities."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.schemas.states import Answer
from app.statistics.decision import (
    BAND,
    ROUNDS,
    ROUNDS_MAX,
    Criterion,
    combine,
    count_answer,
    decide,
    error_summary,
    geometric_mean,
    is_decided,
    leaning,
    log_deviation,
    power,
    probability_of_success,
)

DIFFERENCE = Criterion(margin=1.10)
TWICE = Criterion(margin=2.0)
EQUIVALENCE = Criterion(margin=None)
ratio = st.floats(0.01, 100)
criteria = st.sampled_from([DIFFERENCE, TWICE, EQUIVALENCE])


@pytest.mark.parametrize(
    ("ratios", "criterion", "answer"),
    [
        ([1.2] * 7, DIFFERENCE, Answer.HOLDS),
        ([1.2] * 7, EQUIVALENCE, Answer.DOES_NOT_HOLD),
        ([1.0] * 7, DIFFERENCE, Answer.NO_DIFFERENCE),
        ([1.0] * 7, EQUIVALENCE, Answer.HOLDS),
        ([1.5] * 7, TWICE, Answer.DOES_NOT_HOLD),
        ([0.5] * 7, DIFFERENCE, Answer.DOES_NOT_HOLD),
        ([1.2] * 6 + [1.0], DIFFERENCE, Answer.TOO_CLOSE),
        ([1.2] * 6 + [1.0, 1.2], DIFFERENCE, Answer.TOO_CLOSE),
        ([1.2] * 6 + [1.0, 1.2, 1.2], DIFFERENCE, Answer.HOLDS),
        ([1.2] * 6 + [1.0, 1.2, 1.0], DIFFERENCE, Answer.TOO_CLOSE),
        ([1.0] * 6 + [1.2, 0.8, 1.0], DIFFERENCE, Answer.NO_DIFFERENCE),
        ([1.0] * 6 + [1.2, 1.2, 1.0], DIFFERENCE, Answer.TOO_CLOSE),
        ([1.5] * 6 + [2.5, 1.5, 1.5], TWICE, Answer.DOES_NOT_HOLD),
        ([0.8] * 6 + [1.0, 0.8, 0.8], EQUIVALENCE, Answer.DOES_NOT_HOLD),
        ([1.2] * 9 + [0.1] * 9, DIFFERENCE, Answer.HOLDS),
        ([1.2] * 3, DIFFERENCE, Answer.LEANS_HOLDS),
        ([1.0] * 3, DIFFERENCE, Answer.LEANS_NO_DIFFERENCE),
        ([1.0] * 3, EQUIVALENCE, Answer.LEANS_HOLDS),
        ([0.5] * 3, DIFFERENCE, Answer.LEANS_DOES_NOT_HOLD),
        ([1.2, 1.2, 1.0], DIFFERENCE, Answer.UNCLEAR),
        ([], DIFFERENCE, Answer.UNCLEAR),
    ],
)
def test_each_answer_of_the_rule(ratios: list[float], criterion: Criterion, answer: Answer) -> None:
    assert decide(ratios, criterion) is answer


def test_the_error_rate_is_that_of_the_binomial_distribution() -> None:
    """Both looks at a median exactly at the margin: 1/128 + 7/512."""
    first = stats.binom.pmf(ROUNDS, ROUNDS, 0.5)
    second = stats.binom.pmf(ROUNDS - 1, ROUNDS, 0.5) * stats.binom.pmf(2, 2, 0.5)
    assert probability_of_success(0.5) == pytest.approx(first + second) == pytest.approx(1 / 128 + 7 / 512)


@given(st.floats(0.0, 1.0))
def test_the_probability_of_success_is_that_of_the_enumeration(share: float) -> None:
    total = 0.0
    for votes in product((True, False), repeat=ROUNDS_MAX):
        if decide([1.2 if vote else 1.0 for vote in votes], DIFFERENCE) is Answer.HOLDS:
            total += math.prod(share if vote else 1 - share for vote in votes)
    assert probability_of_success(share) == pytest.approx(total, abs=1e-12)


@given(st.floats(0.5, 3.0), st.floats(1.0, 2.0), st.floats(0.001, 0.5))
def test_the_power_is_that_of_a_log_normal_ratio(true_ratio: float, margin: float, deviation: float) -> None:
    beyond = float(stats.lognorm.sf(margin, s=deviation, scale=true_ratio))
    assert power(true_ratio, margin, deviation) == pytest.approx(probability_of_success(beyond), abs=1e-9)


def test_without_spread_the_power_is_certain() -> None:
    assert (power(1.2, 1.1, 0.0), power(1.0, 1.1, 0.0)) == (1.0, 0.0)
    assert power(1.1, 1.1, 0.0) == probability_of_success(0.5)


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # scipy's, about equal ratios
@given(st.lists(ratio, min_size=1, max_size=9))
def test_means_and_deviations_are_those_of_scipy(ratios: list[float]) -> None:
    assert geometric_mean(ratios) == pytest.approx(stats.gmean(ratios))
    if len(ratios) > 1:
        assert log_deviation(ratios) == pytest.approx(math.log(stats.gstd(ratios)), abs=1e-9)
    else:
        assert log_deviation(ratios) is None


@given(st.lists(ratio, max_size=12), criteria)
def test_further_rounds_cannot_change_a_decided_answer(ratios: list[float], criterion: Criterion) -> None:
    if is_decided(ratios, criterion):
        assert decide(ratios, criterion) is decide([*ratios, 1.0, 5.0, 0.2], criterion)
    else:
        assert len(ratios) < ROUNDS_MAX


@given(st.lists(ratio, min_size=ROUNDS, max_size=9), st.floats(1.1, 4.0))
def test_a_claim_and_its_reverse_never_both_hold(ratios: list[float], margin: float) -> None:
    criterion = Criterion(margin)
    answers = {decide(ratios, criterion), decide([1 / each for each in ratios], criterion)}
    assert answers != {Answer.HOLDS}


@given(st.lists(ratio, min_size=ROUNDS, max_size=9), st.floats(BAND, 4.0))
def test_a_difference_and_equivalence_never_both_hold(ratios: list[float], margin: float) -> None:
    assert {decide(ratios, Criterion(margin)), decide(ratios, EQUIVALENCE)} != {Answer.HOLDS}


@given(st.lists(ratio, max_size=6), criteria)
def test_fewer_than_seven_rounds_are_never_an_answer(ratios: list[float], criterion: Criterion) -> None:
    answer = decide(ratios, criterion)
    assert answer is leaning(answer) and (answer is Answer.UNCLEAR or answer.startswith("leans_"))


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        (["holds", "holds"], "holds"),
        (["no_difference", "no_difference"], "no_difference"),
        (["holds", "does_not_hold", "cannot_test"], "does_not_hold"),
        (["holds", "no_difference"], "does_not_hold"),
        (["holds", "too_close"], "too_close"),
        (["holds", "cannot_test", "too_close"], "cannot_test"),
        (["leans_holds", "leans_holds"], "leans_holds"),
        (["leans_holds", "unclear"], "unclear"),
        (["leans_holds", "holds"], "leans_holds"),
        (["leans_holds", "does_not_hold"], "leans_does_not_hold"),
        (["leans_holds", "cannot_test"], "cannot_test"),
        (["leans_holds", "leans_does_not_hold"], "leans_does_not_hold"),
        (["leans_holds", "leans_no_difference"], "leans_does_not_hold"),
    ],
)
def test_the_answer_of_several_cells(cells: list[str], answer: str) -> None:
    assert combine(map(Answer, cells)) is Answer(answer)
    assert combine(map(Answer, reversed(cells))) is Answer(answer)


def test_a_count_holds_only_if_every_trial_meets_the_bound() -> None:
    assert count_answer([True, True]) is Answer.HOLDS
    assert count_answer([False]) is Answer.DOES_NOT_HOLD
    assert count_answer([True, False]) is Answer.TOO_CLOSE
    assert count_answer([]) is Answer.UNCLEAR


def test_the_error_summary_has_the_expected_number_of_wrong_answers() -> None:
    assert "2.15 %" in error_summary(20) and "0.4 wrong answers" in error_summary(20)
