"""The capacity search against simulated servers: it terminates, and its result is correct."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.plan import Plan
from app.runs.bisection import RESOLUTION, RateTrial, Search
from app.runs.capacity import CapacitySearch, Limits
from app.runs.trial import TrialResult

RATE_MIN, RATE_MAX = 10.0, 100_000.0
Server = Callable[[float], RateTrial]


def search_on(server: Server, start: float, trials_max: int = 80) -> tuple[Search, int]:
    search, trials = Search(start, RATE_MIN, RATE_MAX), 0
    while (rate := search.next_rate()) is not None:
        assert RATE_MIN <= rate <= RATE_MAX
        trials += 1
        assert trials <= trials_max, "the search does not end"
        search.record(rate, server(rate))
        assert search.remaining_trials >= (search.next_rate() is not None)
    assert search.remaining_trials == 0
    return search, trials


@given(st.floats(1, 2 * RATE_MAX), st.floats(12, 0.9 * RATE_MAX))
def test_the_capacity_of_a_steady_server_lies_in_the_bracket(start: float, capacity: float) -> None:
    search, trials = search_on(lambda rate: RateTrial(rate <= capacity), start)
    kept, failed = search.kept_per_s, search.failed_per_s
    assert kept is not None and failed is not None
    assert kept <= capacity < failed <= kept * (1 + RESOLUTION) + 0.1
    assert trials <= 30 and len(search.trials[kept]) == len(search.trials[failed]) == 2
    assert not search.is_generator_limited


def test_a_good_start_rate_needs_few_trials() -> None:
    _, trials = search_on(lambda rate: RateTrial(rate <= 950), 480)
    assert trials <= 9


def test_the_search_ends_at_the_highest_rate_if_every_trial_meets_the_objective() -> None:
    search, _ = search_on(lambda rate: RateTrial(True), 1000)
    assert (search.kept_per_s, search.failed_per_s) == (RATE_MAX, None)
    assert len(search.trials[RATE_MAX]) == 2


def test_the_search_ends_at_the_lowest_rate_if_no_trial_meets_the_objective() -> None:
    search, _ = search_on(lambda rate: RateTrial(False), 1000)
    assert (search.kept_per_s, search.failed_per_s) == (None, RATE_MIN)
    assert len(search.trials[RATE_MIN]) == 2


def test_a_search_limited_by_the_load_generator_reports_it() -> None:
    search, _ = search_on(lambda rate: RateTrial(rate <= 30_000, generator_limited=rate > 30_000), 10_000)
    assert search.is_generator_limited and search.kept_per_s == pytest.approx(30_000, rel=RESOLUTION)


def test_a_trial_limited_by_the_load_generator_is_repeated() -> None:
    rates: list[float] = []

    def server(rate: float) -> RateTrial:
        rates.append(rate)
        return (
            RateTrial(False, generator_limited=True) if len(rates) in (1, 4, 9) else RateTrial(rate <= 3000)
        )

    search, _ = search_on(server, 1000)
    assert rates[0] == rates[1] == 1000
    assert search.kept_per_s == pytest.approx(3000, rel=RESOLUTION) and not search.is_generator_limited


@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize("at", range(9))
def test_one_wrong_trial_is_outvoted(wrong: bool, at: int) -> None:
    count = 0

    def server(rate: float) -> RateTrial:
        nonlocal count
        count += 1
        return RateTrial(wrong if count == at + 1 else rate <= 3000)

    search, _ = search_on(server, 1000)
    assert search.kept_per_s and search.kept_per_s == pytest.approx(3000, rel=2.1 * RESOLUTION)


@pytest.mark.parametrize("seed", range(40))
def test_the_capacity_of_a_noisy_server_is_found_within_its_noise(seed: int) -> None:
    dice = random.Random(seed)
    search, _ = search_on(lambda rate: RateTrial(rate * dice.gauss(1, 0.03) <= 5000), 700)
    kept = search.kept_per_s
    assert kept and kept == pytest.approx(5000, rel=0.2)
    trials = search.trials[kept]
    assert sum(each.met for each in trials) >= 2 > sum(not each.met for each in trials)


@given(st.randoms(use_true_random=False))
def test_a_search_with_random_results_terminates(dice: random.Random) -> None:
    search, _ = search_on(lambda rate: RateTrial(dice.random() < 0.5), 1000, trials_max=400)
    kept, failed = search.kept_per_s, search.failed_per_s
    assert kept is None or failed is None or kept < failed


def result(plan: Plan, p50_us: float) -> TrialResult:
    """Return the result of a trial at the full offered rate, with this latency."""
    assert plan.rate_per_s
    summary = SimpleNamespace(
        errors={},
        dropped=0,
        requests=1000,
        offered_per_s=plan.rate_per_s,
        achieved_per_s=plan.rate_per_s,
        rate_ratio=1.0,
        duration_s=plan.duration_s,
        latency=SimpleNamespace(response=SimpleNamespace(p50_us=p50_us)),
    )
    seen = SimpleNamespace(
        summary=summary,
        outcome=SimpleNamespace(stopped=False, kinds=()),
        verdict=SimpleNamespace(name="unsaturated"),
        ledger=None,
    )
    return cast(TrialResult, seen)


def test_the_last_trial_is_shown_if_the_only_met_rate_is_overturned() -> None:
    trials: list[TrialResult] = []

    async def run_trial(plan: Plan) -> TrialResult:
        trials.append(result(plan, 50_000 if trials else 1_000))  # only the first trial meets the objective
        return trials[-1]

    plan = Plan("find-capacity", rate_per_s=100.0, objective="p(50)<20ms", duration_s=1.0)
    search = CapacitySearch(plan, Limits(max_rate=100.0, budget_s=1e6), run_trial, lambda _: None)
    # In another thread: a browser test in this process may have left its event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, search.run()).result()
    assert search.capacity.kept_per_s is None and search.steps[0].kept
    assert search.best is trials[-1]
