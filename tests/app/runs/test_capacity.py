"""The search for capacity: what ends it, what it then claims, and that its steps are seen while it runs.

That it finds what arithmetic says is in tests/measure/app/test_capacity.py; which rate it tries next in test_search.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.lab import Lab
from app.load.protocol.plan import Plan
from app.runs.capacity import CapacitySearch, Limits
from app.runs.request import RunRequest
from app.runs.trial import TrialResult
from app.schemas.run import RunView
from tests.app.driver import plan, run_in_lab, run_in_thread, until_async

SEARCH = "find-capacity"
PLAN = Plan(SEARCH, rate_per_s=200.0, objective="p(50)<20ms", duration_s=1.0, warmup_s=0.0)
Trial = Callable[[Plan], TrialResult | None]


def result(asked: Plan, p50_us: float = 1_000.0, verdict: str = "unsaturated", **summary: Any) -> TrialResult:
    """Of a trial that answered all that its plan offered, with this latency."""
    rate = asked.rate_per_s
    latency = SimpleNamespace(response=SimpleNamespace(p50_us=p50_us))
    answered = {
        "errors": {},
        "dropped": 0,
        "requests": 1000,
        "offered_per_s": rate,
        "achieved_per_s": rate,
        "rate_ratio": 1.0,
        "duration_s": asked.duration_s,
        "latency": latency,
    }
    return cast(
        TrialResult,
        SimpleNamespace(
            summary=SimpleNamespace(**{**answered, **summary}),
            outcome=SimpleNamespace(stopped=False, kinds=()),
            ledger=None,
            verdict=SimpleNamespace(name=verdict, because=("Its reason.",)),
        ),
    )


def searched(
    trial: Trial, asked: Plan = PLAN, max_rate: float = 100_000.0, budget_s: float = 1e9
) -> CapacitySearch:
    """A search that has ended, against a server for which `trial` stands."""

    async def attempt(each: Plan) -> TrialResult | None:
        return trial(each)

    search = CapacitySearch(asked, Limits(max_rate, budget_s), attempt, lambda _: None)
    run_in_thread(search.run)
    return search


def server_up_to(capacity: float) -> Trial:
    return lambda asked: result(asked, 1_000 if (asked.rate_per_s or 0) <= capacity else 90_000)


def test_it_closes_in_on_the_capacity_and_shows_the_trial_at_the_highest_rate_that_was_kept() -> None:
    search = searched(server_up_to(950))
    found = search.capacity
    assert found.limited_by is None
    assert found.kept_per_s and found.failed_per_s and found.kept_per_s <= 950 < found.failed_per_s
    assert found.failed_per_s <= 1.06 * found.kept_per_s
    assert search.best and search.best.summary.offered_per_s == found.kept_per_s
    assert [step.rate_per_s for step in found.steps[:3]] == [200, 400, 800]
    assert len([step for step in found.steps if step.rate_per_s == found.kept_per_s and step.kept]) >= 2
    assert all(step.because.endswith(".") for step in found.steps)
    assert {step.because for step in found.steps if not step.kept} == {"p(50) was 90.0 ms."}


def test_without_a_rate_it_begins_at_half_of_what_a_closed_load_reaches() -> None:
    def server(asked: Plan) -> TrialResult:
        if asked.executor == "constant-vus":
            return result(asked, achieved_per_s=900.0)
        found = server_up_to(700)(asked)
        assert found
        return found

    search = searched(server, replace(PLAN, rate_per_s=None))
    assert search.steps[0].rate_per_s == 450
    assert search.capacity.limited_by is None


def test_at_the_highest_rate_that_is_allowed_it_ends_and_says_so() -> None:
    found = searched(server_up_to(10_000), max_rate=600.0).capacity
    assert (found.kept_per_s, found.failed_per_s) == (600, None)
    assert "600 a second" in (found.limited_by or "")


def test_it_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0.0]
    monkeypatch.setattr("app.runs.capacity.time", SimpleNamespace(monotonic=lambda: times[-1]))

    async def attempt(asked: Plan) -> TrialResult:
        times.append(times[-1] + asked.total_s)
        return result(asked)

    search = CapacitySearch(PLAN, Limits(1e5, 3.5), attempt, lambda _: None, _began_s=0.0)
    run_in_thread(search.run)
    assert search.capacity.limited_by == "The time for a search, 3.5 s, was over."
    assert (search.capacity.kept_per_s, len(search.steps)) == (800, 3), (
        "a fourth trial would have taken it beyond"
    )


def test_where_no_rate_is_kept_that_is_said() -> None:
    found = searched(server_up_to(0)).capacity
    assert found.kept_per_s is None and found.failed_per_s
    assert (found.limited_by or "").startswith("Not even")


@pytest.mark.parametrize(
    ("summary", "because"),
    [
        ({"errors": {"timeout": 11}, "requests": 989}, "11 of 1,000 requests failed."),
        ({"achieved_per_s": 150.0, "rate_ratio": 0.75}, "Only 75.0 % of the rate was answered."),
    ],
)
def test_a_trial_that_left_requests_out_has_not_kept_its_rate(summary: dict[str, Any], because: str) -> None:
    search = searched(lambda asked: result(asked, **summary), replace(PLAN, rate_per_s=200.0), max_rate=200.0)
    assert search.steps[0].because == because and not search.steps[0].kept


def test_a_generator_at_its_own_limit_is_the_limit_of_the_search() -> None:
    found = searched(
        lambda asked: (
            result(asked, 90_000, "client_bound") if (asked.rate_per_s or 0) > 300 else result(asked)
        )
    ).capacity
    assert "the load generator was the limit" in (found.limited_by or "")
    assert found.failed_per_s is None, "that it failed there says nothing of the server"


def held_in_the_second_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every trial after the first last until the test ends it."""
    plan_at = CapacitySearch._plan_at
    monkeypatch.setattr(
        CapacitySearch,
        "_plan_at",
        lambda search, rate: replace(plan_at(search, rate), duration_s=500.0 if search.steps else 0.5),
    )


async def until_the_second_trial(lab: Lab, run: RunView) -> None:
    def in_it() -> bool:
        now, progress = lab.runs.get(run.id), lab.runs.progress()
        return bool(now.capacity and now.capacity.steps and progress and progress.phase == "measure")

    await until_async(in_it, "a second trial is measured")


def test_a_search_shows_each_step_while_it_runs_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_in_the_second_trial(monkeypatch)

    async def play(lab: Lab) -> tuple[RunView, RunView]:
        run = await lab.runs.submit(
            RunRequest(
                model="reactor",
                plan=plan(0.5, 0, executor=SEARCH, objective="p(50)<1s", rate_per_s=200, timeout_s=60),
            )
        )
        await until_the_second_trial(lab, run)
        now = lab.runs.get(run.id)
        lab.runs.stop(run.id)
        return now, await lab.runs.finished(run.id)

    now, ended = run_in_lab(tmp_path, play)
    assert now.state == "running" and 0 < now.progress < 1
    assert now.capacity and [step.rate_per_s for step in now.capacity.steps] == [200]
    assert ended.capacity and (ended.state, ended.capacity.limited_by) == ("stopped", "It was stopped early.")
    assert ended.summary and ended.summary.requests == 100, "the first trial's"
    assert ended.verdict and not ended.verdict.rankable


def test_an_engine_that_dies_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_in_the_second_trial(monkeypatch)

    async def play(lab: Lab) -> RunView:
        engine = await lab.fleet.start("reactor", {})
        asked = plan(0.5, 0, executor=SEARCH, objective="p(50)<1s", rate_per_s=200, timeout_s=60)
        run = await lab.runs.submit(RunRequest(engine=engine.id, plan=asked))
        await until_the_second_trial(lab, run)
        os.kill(engine.pid or 0, signal.SIGKILL)
        return await lab.runs.finished(run.id)

    view = run_in_lab(tmp_path, play)
    assert view.capacity and "SIGKILL" in (view.capacity.limited_by or "")
    assert view.summary and view.verdict and not view.verdict.rankable
