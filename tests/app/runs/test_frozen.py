"""Children that do nothing any more (SIGSTOP): a run does not wait for them for ever, and the lab says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.lab import Lab
from app.runs import trial
from app.runs.request import RunRequest
from app.schemas.run import RunView
from tests.app.driver import LabProcess, light, read_meter, run_in_lab, until, until_async


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SILENT_MAX_S", 0.5)
    monkeypatch.setattr(trial, "SILENT_MAX_PER_S", 0.0)


async def frozen(lab: Lab) -> RunView:
    """A run whose load generator is stopped by a signal while it measures."""
    run = await lab.runs.submit(RunRequest(model="reactor", plan=light(60)))
    active = lab.runs.active[run.id]

    def generator() -> int | None:
        going = active._trial and active._trial._generator
        return (
            next((pid for pid in going.pids if (meter := read_meter(pid)) and meter.completed), None)
            if going
            else None
        )

    pid = await until_async(generator, "something was answered")
    os.kill(pid, signal.SIGSTOP)
    return run


@pytest.mark.usefixtures("impatient")
def test_a_frozen_generator_is_ended_and_its_run_fails_with_the_reason(tmp_path: Path) -> None:
    async def play(lab: Lab) -> tuple[RunView, RunView]:
        run = await frozen(lab)
        after = await lab.runs.submit(RunRequest(model="reactor", plan=light()))
        return await lab.runs.finished(run.id), await lab.runs.finished(after.id)

    run, after = run_in_lab(tmp_path, play)
    assert (run.state, run.summary) == ("failed", None)
    assert run.failure == "The load generator did nothing for 0 s, and was ended."
    assert after.state == "finished" and after.summary, "the queue goes on"


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_generator_is_frozen_can_be_stopped(tmp_path: Path) -> None:
    async def play(lab: Lab) -> RunView:
        run = await frozen(lab)
        lab.runs.stop(run.id)
        return await lab.runs.finished(run.id)

    assert run_in_lab(tmp_path, play).state in ("stopped", "failed")


def test_an_engine_that_is_stopped_by_a_signal_is_not_called_ready(lab: LabProcess) -> None:
    for model in ("reactor", "prefork"):
        engine = lab.start(model)

        def state(id: str = engine["id"]) -> str:
            return str(lab.get(f"/engines/{id}")["state"])

        os.kill(engine["pid"], signal.SIGSTOP)
        try:
            until(lambda: state() == "degraded", "it is degraded")
            assert "SIGSTOP" in lab.get(f"/engines/{engine['id']}")["detail"]
        finally:
            os.kill(engine["pid"], signal.SIGCONT)
        until(lambda: state() == "ready", "it is ready again")
