"""The demonstration with real servers: what it measures, and what ends it early."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.demonstration import demonstration
from app.demonstration.demonstration import FAST, MODELS
from app.errors import NotNow
from app.events import Event
from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.demonstration import DemonstrationView
from app.schemas.states import DemonstrationState
from tests.app.driver import plan, run_in_lab


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request in ten is slow, so that half a second shows one."""
    work = [{"kind": FAST, "weight": 9}, {"kind": "sleep", "weight": 1, "params": {"ms": 50}}]
    load = {
        **demonstration.PLAN,
        "rate_per_s": 60,
        "warmup_s": 0.1,
        "duration_s": 1,
        "work": work,
        "timeout_s": 60,
    }
    monkeypatch.setattr(demonstration, "PLAN", load)


async def ended(lab: Lab, on_event: Callable[[Event], None] = lambda event: None) -> DemonstrationView:
    """Start a demonstration and wait for its end. `on_event` is called with each of its events."""
    done = asyncio.Event()

    def listen(event: Event) -> None:
        if event.name.startswith("demonstration."):
            on_event(event)
            if event.name in ("demonstration.finished", "demonstration.failed"):
                done.set()

    lab.events.subscribe(listen)
    lab.demonstration.start()
    await done.wait()
    assert lab.demonstration.view
    return lab.demonstration.view


def play_in_lab(folder: Path, play: Callable[[Lab], Awaitable[Any]]) -> Any:
    return run_in_lab(folder, play)


def test_both_models_are_loaded_alike_and_traced(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        names: list[str] = []
        view = await ended(lab, lambda event: names.append(event.name))
        assert names == ["demonstration.starting", "demonstration.loading", "demonstration.finished"]
        assert [each.model for each in view.measured] == list(MODELS)
        runs = [lab.runs.get(id) for id in view.runs]
        assert [run.model for run in runs] == list(MODELS)
        assert runs[0].summary and runs[1].summary
        assert runs[0].summary.requests == runs[1].summary.requests > 0, "the same schedule"
        assert all(run.verdict and not run.verdict.rankable for run in runs)
        first = lab.runs.excerpt(view.runs[0])
        second = lab.runs.excerpt(view.runs[1], first.window_us)
        assert first.slow_us and second.slow_us and first.window_us == second.window_us
        assert [lane.name for lane in first.threads] == ["reactor"]
        assert [lane.name for lane in second.threads] == ["reactor", *(f"worker {n}" for n in range(1, 5))]

    play_in_lab(tmp_path, play)


def test_its_servers_are_stopped_at_the_end(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        await ended(lab)
        assert lab.fleet.alive == [] and not lab.demonstration.is_running, "it can be started again"

    play_in_lab(tmp_path, play)


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        def start_again(event: Event) -> None:
            if event.name in ("demonstration.starting", "demonstration.loading"):
                lab.demonstration.start()

        view = await ended(lab, start_again)
        assert view.state is DemonstrationState.FINISHED and len(view.runs) == 2

    play_in_lab(tmp_path, play)


def test_it_does_not_start_while_something_is_measured(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        run = await lab.runs.submit(RunRequest(model="reactor", plan=plan(590, 0, vus=1)))
        with pytest.raises(NotNow, match="being measured"):
            lab.demonstration.start()
        assert lab.demonstration.view is None
        lab.runs.stop(run.id)
        await lab.runs.finished(run.id)

    play_in_lab(tmp_path, play)


def test_a_stopped_run_fails_it_with_the_reason(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        def stop(event: Event) -> None:
            if event.name == "demonstration.loading":
                lab.runs.stop_all()

        view = await ended(lab, stop)
        assert view.state is DemonstrationState.FAILED and view.failure

    play_in_lab(tmp_path, play)


def test_an_unexpected_error_fails_it_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> None:
        async def no_descriptors(*_: Any) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(lab.fleet, "start", no_descriptors)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        view = await ended(lab)
        assert view.state is DemonstrationState.FAILED and "Too many open files" in (view.failure or "")

    play_in_lab(tmp_path, play)


def test_a_killed_server_fails_it_with_the_reason(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        def kill(event: Event) -> None:
            if event.name == "demonstration.loading":
                for engine in lab.fleet.alive:
                    os.kill(engine.pids[0], signal.SIGKILL)

        view = await ended(lab, kill)
        assert view.state is DemonstrationState.FAILED and view.failure

    play_in_lab(tmp_path, play)


def test_a_lab_that_closes_ends_it(tmp_path: Path) -> None:
    async def play(lab: Lab) -> Lab:
        lab.demonstration.start()
        return lab

    lab = play_in_lab(tmp_path, play)
    assert not lab.demonstration.is_running
