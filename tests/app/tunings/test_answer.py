"""The answer of a tuning, from the rates of its rounds: best value, smallest within 10 %, and sentences."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.states import Answer
from app.schemas.tuning import TuningResult
from app.tunings.answer import IS_WITHIN, smallest_within, tuning_trial, value_results
from app.tunings.result import compute_result
from tests.app.stored_runs import stored_run
from tests.app.tunings.stored_tunings import RATES, VOID, trial, tuning

Rates = dict[int | str, tuple[float | None, ...]]


def result(rates: Rates, **changes: object) -> TuningResult:
    found = tuning(rates, **changes).result
    assert found
    return found


def said(rates: Rates, **changes: object) -> str:
    return " ".join(result(rates, **changes).sentences)


def test_the_smallest_value_within_ten_percent_of_the_best_is_the_answer() -> None:
    found = result(RATES)
    assert (found.best, found.answer) == (5, 4)
    assert found.sentences[0] == (
        "workers 16 is the smallest value within 10 % of the best rate: 735 req/s, against 765 req/s with "
        "workers 32."
    )
    four = found.values[2]
    assert (four.n, four.trials, four.rates, four.median_per_s) == (2, 3, (191, 190), 190.5)
    assert (four.min_per_s, four.max_per_s) == (190, 191)
    assert four.ratios == pytest.approx((191 / 760, 190 / 771))


def test_three_rounds_are_a_tendency_and_seven_an_answer() -> None:
    three = result(RATES)
    assert not three.is_decided
    assert three.sentences[1].startswith("2 rounds show a tendency"), "a smaller value has two valid rounds"
    assert three.values[4].within is Answer.LEANS_HOLDS
    seven: Rates = {1: (50.0,) * 7, 2: (98.0,) * 7, 4: (100.0,) * 7}
    found = result(seven)
    assert found.is_decided and (found.best, found.answer) == (2, 1)
    assert [each.within for each in found.values] == [Answer.DOES_NOT_HOLD, Answer.HOLDS, Answer.HOLDS]
    assert "tendency" not in " ".join(found.sentences)


def test_a_value_that_may_be_within_ten_percent_is_named() -> None:
    text = said({1: (95, 80, 95), 2: (100, 100, 100), 4: (99, 99, 99)})
    assert text.startswith("workers 2 has the best rate, 100 req/s; no smaller value is within 10 % of it.")
    assert "workers 1 is too close to call: 0.80 to 0.95 of the best rate in 3 rounds." in text


def test_a_value_without_a_round_of_the_best_one_is_not_compared() -> None:
    text = said({5: (149, None), 10: (None, 150), 20: (100, 100)})
    assert text.startswith(
        "workers 10 has the best rate, 150 req/s; no other smaller value is within 10 % of it. "
        "workers 5: not compared, because no round has a valid run of both."
    )


def test_a_void_run_is_named_and_not_part_of_the_median() -> None:
    assert f"workers 4: 1 of 3 runs is void and not part of the median. {VOID}" in result(RATES).sentences


def test_the_best_value_at_an_end_of_the_range_is_reported_unless_the_knob_ends_there() -> None:
    small = "the range may be too small"
    assert small in said({2: (10,), 4: (20,), 8: (40,)})
    assert small in said({2: (40,), 4: (20,), 8: (10,)})
    assert small not in said({1: (40,), 4: (20,), 8: (10,)}), "the knob has no lower value"
    assert small not in said({2: (10,), 256: (40,)}), "the knob has no higher value"
    assert small not in said({2: (10,), 4: (40,), 8: (20,)})


def test_no_value_keeps_the_objective() -> None:
    found = result({1: (0.0, 0.0), 2: (0.0, 0.0)})
    assert (found.best, found.answer) == (None, None)
    assert found.sentences == ("No value keeps p(99)<50ms at any rate.",)


def test_values_that_keep_no_rate_count_below_the_others() -> None:
    text = said({1: (0.0, 0.0), 2: (0.0, 0.0), 4: (100, 101), 8: (99, 98)})
    assert text.startswith("workers 4 has the best rate, 100 req/s")
    assert "No rate keeps p(99)<50ms with workers 1 and workers 2." in text


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ({1: (None,), 2: (None,)}, "No answer: no value has a valid run."),
        ({1: (None,), 2: (50,)}, "No answer: only workers 2 has a valid run."),
        ({1: (None,), 2: (0.0,)}, "No value with a valid run keeps p(99)<50ms at any rate."),
    ],
)
def test_nothing_can_be_answered_without_two_values(rates: Rates, sentence: str) -> None:
    found = result(rates)
    assert (found.best, found.answer, found.sentences[0]) == (None, None, sentence)


def test_the_best_value_is_not_known_if_a_void_run_kept_a_higher_rate() -> None:
    view = tuning({1: (50, 51), 2: (90, 91), 4: (None, None)})
    runs = tuple(replace(each, at_least_per_s=400.0) if each.why_not else each for each in view.runs)
    found = compute_result(replace(view, runs=runs), (1, 256), {})
    assert (found.best, found.answer) == (None, None)
    assert found.sentences[0] == (
        "The best value is not known: workers 4 keeps p(99)<50ms at 400 req/s at least, more than the best "
        "valid rate, 90.5 req/s with workers 2."
    )


def test_of_choices_the_best_is_the_answer_with_those_near_it() -> None:
    choices: Rates = {"shared": (100, 101), "exclusive": (98, 99), "reuseport": (50, 50)}
    found = result(choices, knob="accept", unit="")
    assert (found.best, found.answer) == (0, 0)
    assert found.sentences[0] == (
        "accept shared has the best rate, 100 req/s. Within 10 %: accept exclusive (98.5 req/s)."
    )
    assert "range" not in said(choices, knob="accept", unit="")
    alone = said({"shared": (100,), "reuseport": (50,)}, knob="accept", unit="")
    assert "No other value is within 10 % of it." in alone


def test_the_formula_needs_one_kind_of_sleep_and_a_known_cost() -> None:
    formula = result(RATES).formula
    assert formula
    assert (formula.cpus, formula.wait_us, formula.compute_us, formula.threads) == (1, 20_000, 1000, 21)
    assert "The formula N · (1 + W/C) gives 21.0: N = 1 CPU, W = 20.0 ms" in said(RATES)
    mixed = [*tuning().plan["work"], {"kind": "plaintext", "weight": 1, "params": {}}]
    assert result(RATES, plan={"work": mixed}).formula is None
    assert result(RATES, unit="KiB").formula is None
    free = tuple(replace(each, cpu_us=None) for each in tuning().runs)
    assert result(RATES, runs=free).formula is None


def test_the_formula_is_for_all_processes_together() -> None:
    view = tuning(RATES, knob="threads", model="gunicorn")
    formula = compute_result(view, (1, 256), {"workers": 2}).formula
    assert formula and (formula.threads, formula.pools, formula.value) == (21, 2, 10.5)


rate_lists = st.lists(
    st.lists(st.none() | st.just(0.0) | st.floats(1, 1e5), min_size=0, max_size=9), min_size=2, max_size=8
)


@given(rate_lists)
def test_every_result_is_consistent(lists: list[list[float | None]]) -> None:
    rates: Rates = {2**i: tuple(own) for i, own in enumerate(lists)}
    if not any(rates.values()):
        return
    found = result(rates)
    valid = {i: [rate for rate in own if rate is not None] for i, own in enumerate(rates.values())}
    assert found.sentences and all(sentence.endswith(".") for sentence in found.sentences)
    for each in found.values:
        assert each.n == len(valid[each.value])
        assert each.median_per_s == (median(valid[each.value]) if each.n else None)
    if found.best is None:
        assert found.answer is None
        return
    best = found.values[found.best]
    assert best.median_per_s == max(each.median_per_s or 0.0 for each in found.values)
    assert best.within in IS_WITHIN, "the best value is within 10 % of itself"
    assert found.answer is not None and found.answer == smallest_within(found.values)
    assert found.answer <= found.best


@given(st.lists(st.floats(1, 1e5), min_size=2, max_size=8))
def test_with_equal_rounds_the_answer_is_the_first_within_a_factor_of_1_1(rates: list[float]) -> None:
    rounds = 7
    trials = [trial(i, n, rate) for i, rate in enumerate(rates) for n in range(1, rounds + 1)]
    results, best = value_results(len(rates), trials)
    assert best == rates.index(max(rates))
    within = [i for i, rate in enumerate(rates) if max(rates) / rate < 1.0999]
    outside = [i for i, rate in enumerate(rates) if max(rates) / rate > 1.1001]
    assert all(results[i].within is Answer.HOLDS for i in within)
    assert all(results[i].within is Answer.DOES_NOT_HOLD for i in outside)


def steps(*pairs: tuple[float, bool]) -> list[dict[str, object]]:
    return [
        {"rate_per_s": rate, "trial": 1, "seen": "1 ms", "rate_ratio": 1.0, "kept": kept, "because": "x"}
        for rate, kept in pairs
    ]


def capacity(
    kept: float | None, failed: float | None, limit: str | None, *pairs: tuple[float, bool]
) -> object:
    return {
        "objective": "p(99)<50ms",
        "kept_per_s": kept,
        "failed_per_s": failed,
        "limited_by": limit,
        "steps": steps(*pairs),
    }


def test_a_run_counts_with_the_rate_that_it_found() -> None:
    run = stored_run(
        capacity=capacity(100, 104, None, (100, True), (104, False)), placement={"engine_cpus": [1]}
    )
    found = tuning_trial(3, 2, run, None)
    assert (found.value, found.round, found.rate_per_s, found.why_not) == (3, 2, 100, None)
    assert (found.cpus, found.at_least_per_s) == (1, None)


def test_a_run_that_misses_at_the_lowest_rate_counts_as_no_rate() -> None:
    missed = capacity(None, 40, "The objective was missed.", (80, False), (40, False), (40, False))
    found = tuning_trial(0, 1, stored_run(capacity=missed), "The objective was missed.")
    assert (found.rate_per_s, found.why_not) == (0.0, None)
    early = capacity(None, 40, "The time limit was reached.", (80, False), (40, False))
    found = tuning_trial(0, 1, stored_run(capacity=early), "The time limit was reached.")
    assert (found.rate_per_s, found.why_not) == (None, "The time limit was reached.")


def test_a_run_that_something_else_has_limited_is_void_with_the_rate_that_it_kept() -> None:
    limited = capacity(600, None, "The limit of the lab.", (600, True), (600, True))
    found = tuning_trial(0, 1, stored_run(capacity=limited), "The limit of the lab.")
    assert (found.rate_per_s, found.at_least_per_s) == (None, 600)
    assert found.why_not == "The limit of the lab."


def test_a_stopped_or_failed_run_is_void() -> None:
    found = tuning_trial(0, 1, stored_run(state="failed", failure="It ended."), "It ended.")
    assert (found.rate_per_s, found.why_not) == (None, "It ended.")
    stopped = stored_run(state="stopped", capacity=capacity(100, 200, "Stopped.", (100, True), (200, False)))
    found = tuning_trial(0, 1, stopped, "Stopped.")
    assert found.rate_per_s is None and found.why_not
