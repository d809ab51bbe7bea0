"""Capacity search: what ends it, what it reports then, and that its steps are visible while it runs.

tests/measure/app/test_capacity.py checks the measured capacity; test_bisection.py the choice of rates.
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
Server = Callable[[Plan], TrialResult | None]


def result(
    offered: Plan, p50_us: float = 1_000.0, verdict: str = "unsaturated", **summary: Any
) -> TrialResult:
    """Return the result of a trial at the full offered rate, with this latency."""
    rate = offered.rate_per_s
    latency = SimpleNamespace(response=SimpleNamespace(p50_us=p50_us))
    complete = {
        "errors": {},
        "dropped": 0,
        "requests": 1000,
        "offered_per_s": rate,
        "achieved_per_s": rate,
        "rate_ratio": 1.0,
        "duration_s": offered.duration_s,
        "latency": latency,
    }
    return cast(
        TrialResult,
        SimpleNamespace(
            summary=SimpleNamespace(**{**complete, **summary}),
            outcome=SimpleNamespace(stopped=False, kinds=()),
            ledger=None,
            verdict=SimpleNamespace(name=verdict, because=("The reason.",)),
        ),
    )


def search_on(
    server: Server, searched: Plan = PLAN, max_rate: float = 100_000.0, budget_s: float = 1e9
) -> CapacitySearch:
    """Return a finished search against a simulated server."""

    async def run_trial(each: Plan) -> TrialResult | None:
        return server(each)

    search = CapacitySearch(searched, Limits(max_rate, budget_s), run_trial, lambda _: None)
    run_in_thread(search.run)
    return search


def server_up_to(capacity: float) -> Server:
    return lambda plan: result(plan, 1_000 if (plan.rate_per_s or 0) <= capacity else 90_000)


def test_a_search_brackets_the_capacity_and_shows_the_trial_at_the_highest_met_rate() -> None:
    search = search_on(server_up_to(950))
    found = search.capacity
    assert found.limited_by is None
    assert found.kept_per_s and found.failed_per_s and found.kept_per_s <= 950 < found.failed_per_s
    assert found.failed_per_s <= 1.06 * found.kept_per_s
    assert [step.value_us for step in found.steps] == [
        1_000.0 if step.kept else 90_000.0 for step in found.steps
    ]
    assert search.best and search.best.summary.offered_per_s == found.kept_per_s
    assert [step.rate_per_s for step in found.steps[:3]] == [200, 400, 800]
    assert len([step for step in found.steps if step.rate_per_s == found.kept_per_s and step.kept]) >= 2
    assert all(step.because.endswith(".") for step in found.steps)
    assert {step.because for step in found.steps if not step.kept} == {"p(50) was 90.0 ms."}


def test_without_a_rate_the_search_begins_at_half_of_the_closed_loop_throughput() -> None:
    def server(plan: Plan) -> TrialResult:
        if plan.executor == "constant-vus":
            return result(plan, achieved_per_s=900.0)
        found = server_up_to(700)(plan)
        assert found
        return found

    search = search_on(server, replace(PLAN, rate_per_s=None))
    assert search.steps[0].rate_per_s == 450
    assert search.capacity.limited_by is None


def test_the_search_ends_at_the_highest_allowed_rate() -> None:
    found = search_on(server_up_to(10_000), max_rate=600.0).capacity
    assert (found.kept_per_s, found.failed_per_s) == (600, None)
    assert "600 req/s" in (found.limited_by or "")


def test_the_search_ends_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0.0]
    monkeypatch.setattr("app.runs.capacity.time", SimpleNamespace(monotonic=lambda: times[-1]))

    async def run_trial(plan: Plan) -> TrialResult:
        times.append(times[-1] + plan.total_s)
        return result(plan)

    search = CapacitySearch(PLAN, Limits(1e5, 3.5), run_trial, lambda _: None, _began_s=0.0)
    run_in_thread(search.run)
    assert search.capacity.limited_by == "The time limit of a search, 3.5 s, was reached."
    assert (search.capacity.kept_per_s, len(search.steps)) == (800, 3), (
        "a fourth trial would exceed the limit"
    )


def test_a_search_without_a_met_rate_reports_it() -> None:
    found = search_on(server_up_to(0)).capacity
    assert found.kept_per_s is None and found.failed_per_s
    assert (found.limited_by or "").startswith("The objective was missed at the lowest")


@pytest.mark.parametrize(
    ("summary", "because"),
    [
        ({"errors": {"timeout": 11}, "requests": 989}, "11 of 1,000 requests failed."),
        ({"achieved_per_s": 150.0, "rate_ratio": 0.75}, "Only 75.0 % of the offered rate was achieved."),
    ],
)
def test_a_trial_with_missing_requests_does_not_meet_the_objective(
    summary: dict[str, Any], because: str
) -> None:
    search = search_on(lambda plan: result(plan, **summary), replace(PLAN, rate_per_s=200.0), max_rate=200.0)
    assert search.steps[0].because == because and not search.steps[0].kept


def test_a_saturated_load_generator_is_reported_as_the_limit() -> None:
    found = search_on(
        lambda plan: result(plan, 90_000, "client_bound") if (plan.rate_per_s or 0) > 300 else result(plan)
    ).capacity
    assert "the load generator was the limit" in (found.limited_by or "")
    assert found.failed_per_s is None, "a miss there says nothing about the server"


def endless_second_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every trial after the first last until the test stops it."""
    plan_at = CapacitySearch._plan_at
    monkeypatch.setattr(
        CapacitySearch,
        "_plan_at",
        lambda search, rate: replace(plan_at(search, rate), duration_s=500.0 if search.steps else 0.5),
    )


async def wait_second_trial(lab: Lab, run: RunView) -> None:
    def is_measuring() -> bool:
        now, progress = lab.runs.get(run.id), lab.runs.progress()
        return bool(now.capacity and now.capacity.steps and progress and progress.phase == "measure")

    await until_async(is_measuring, "the second trial is being measured")


def test_a_search_shows_each_step_while_it_runs_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless_second_trial(monkeypatch)

    async def play(lab: Lab) -> tuple[RunView, RunView]:
        run = await lab.runs.submit(
            RunRequest(
                model="reactor",
                plan=plan(0.5, 0, executor=SEARCH, objective="p(50)<1s", rate_per_s=200, timeout_s=60),
            )
        )
        await wait_second_trial(lab, run)
        now = lab.runs.get(run.id)
        lab.runs.stop(run.id)
        return now, await lab.runs.finished(run.id)

    now, ended = run_in_lab(tmp_path, play)
    assert now.state == "running" and 0 < now.progress < 1
    assert now.capacity and [step.rate_per_s for step in now.capacity.steps] == [200]
    assert ended.capacity and ended.state == "stopped"
    assert ended.capacity.limited_by == "Stopped before the search was complete."
    assert ended.summary and ended.summary.requests == 100, "the summary is that of the first trial"
    assert ended.verdict and not ended.verdict.rankable


def test_an_engine_that_dies_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless_second_trial(monkeypatch)

    async def play(lab: Lab) -> RunView:
        engine = await lab.fleet.start("reactor", {})
        load = plan(0.5, 0, executor=SEARCH, objective="p(50)<1s", rate_per_s=200, timeout_s=60)
        run = await lab.runs.submit(RunRequest(engine=engine.id, plan=load))
        await wait_second_trial(lab, run)
        os.kill(engine.pid or 0, signal.SIGKILL)
        return await lab.runs.finished(run.id)

    view = run_in_lab(tmp_path, play)
    assert view.capacity and "SIGKILL" in (view.capacity.limited_by or "")
    assert view.summary and view.verdict and not view.verdict.rankable
