"""The search for capacity against simulated servers: it ends, and what it says holds."""

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
from app.runs.bisection import WIDTH, Search, Tried
from app.runs.capacity import CapacitySearch, Limits
from app.runs.trial import TrialResult

FLOOR, CEILING = 10.0, 100_000.0
Server = Callable[[float], Tried]


def searched(server: Server, start: float, most: int = 80) -> tuple[Search, int]:
    search, trials = Search(start, FLOOR, CEILING), 0
    while (rate := search.next_rate()) is not None:
        assert FLOOR <= rate <= CEILING
        trials += 1
        assert trials <= most, "it does not end"
        search.take(rate, server(rate))
        assert search.remaining >= (search.next_rate() is not None)
    assert search.remaining == 0
    return search, trials


@given(st.floats(1, 2 * CEILING), st.floats(12, 0.9 * CEILING))
def test_the_capacity_of_a_steady_server_lies_in_the_interval(start: float, capacity: float) -> None:
    search, trials = searched(lambda rate: Tried(rate <= capacity), start)
    kept, failed = search.kept_per_s, search.failed_per_s
    assert kept is not None and failed is not None
    assert kept <= capacity < failed <= kept * (1 + WIDTH) + 0.1
    assert trials <= 30 and len(search.tried[kept]) == len(search.tried[failed]) == 2
    assert not search.by_generator


def test_a_good_start_takes_few_trials() -> None:
    _, trials = searched(lambda rate: Tried(rate <= 950), 480)
    assert trials <= 9


def test_a_server_that_keeps_everything_ends_at_the_highest_rate() -> None:
    search, _ = searched(lambda rate: Tried(True), 1000)
    assert (search.kept_per_s, search.failed_per_s) == (CEILING, None)
    assert len(search.tried[CEILING]) == 2


def test_a_server_that_keeps_nothing_ends_at_the_lowest() -> None:
    search, _ = searched(lambda rate: Tried(False), 1000)
    assert (search.kept_per_s, search.failed_per_s) == (None, FLOOR)
    assert len(search.tried[FLOOR]) == 2


def test_where_the_generator_is_the_limit_it_says_so() -> None:
    search, _ = searched(lambda rate: Tried(rate <= 30_000, by_generator=rate > 30_000), 10_000)
    assert search.by_generator and search.kept_per_s == pytest.approx(30_000, rel=WIDTH)


def test_a_trial_that_only_the_generator_failed_is_repeated() -> None:
    asked: list[float] = []

    def server(rate: float) -> Tried:
        asked.append(rate)
        return Tried(False, by_generator=True) if len(asked) in (1, 4, 9) else Tried(rate <= 3000)

    search, _ = searched(server, 1000)
    assert asked[0] == asked[1] == 1000
    assert search.kept_per_s == pytest.approx(3000, rel=WIDTH) and not search.by_generator


@pytest.mark.parametrize("wrongly", [True, False])
@pytest.mark.parametrize("at", range(9))
def test_one_trial_that_errs_is_outvoted(wrongly: bool, at: int) -> None:
    asked = 0

    def server(rate: float) -> Tried:
        nonlocal asked
        asked += 1
        return Tried(wrongly if asked == at + 1 else rate <= 3000)

    search, _ = searched(server, 1000)
    assert search.kept_per_s and search.kept_per_s == pytest.approx(3000, rel=2.1 * WIDTH)


@pytest.mark.parametrize("seed", range(40))
def test_a_noisy_server_is_found_within_its_noise(seed: int) -> None:
    dice = random.Random(seed)
    search, _ = searched(lambda rate: Tried(rate * dice.gauss(1, 0.03) <= 5000), 700)
    kept = search.kept_per_s
    assert kept and kept == pytest.approx(5000, rel=0.2)
    trials = search.tried[kept]
    assert sum(each.kept for each in trials) >= 2 > sum(not each.kept for each in trials)


@given(st.randoms(use_true_random=False))
def test_even_chance_comes_to_an_end(dice: random.Random) -> None:
    search, _ = searched(lambda rate: Tried(dice.random() < 0.5), 1000, most=400)
    kept, failed = search.kept_per_s, search.failed_per_s
    assert kept is None or failed is None or kept < failed


def result(plan: Plan, p50_us: float) -> TrialResult:
    """Of a trial that answered all that its plan offered, with this latency."""
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


def test_where_the_only_rate_that_was_kept_is_overturned_the_last_trial_is_shown() -> None:
    trials: list[TrialResult] = []

    async def attempt(plan: Plan) -> TrialResult:
        trials.append(result(plan, 50_000 if trials else 1_000))  # the first is kept, and nothing after it
        return trials[-1]

    plan = Plan("find-capacity", rate_per_s=100.0, objective="p(50)<20ms", duration_s=1.0)
    search = CapacitySearch(plan, Limits(max_rate=100.0, budget_s=1e6), attempt, lambda _: None)
    with ThreadPoolExecutor(
        1
    ) as thread:  # a browser test of the same process may have left its loop on this one
        thread.submit(asyncio.run, search.run()).result()
    assert search.capacity.kept_per_s is None and search.steps[0].kept
    assert search.best is trials[-1]
