"""Child processes stopped by SIGSTOP: a run does not wait for them forever, and the lab reports them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.hosts.local_shard import LocalShard
from app.lab import Lab
from app.runs import trial
from app.runs.request import RunRequest
from app.schemas.run import RunView
from tests.app.driver import LabProcess, light, read_meter, run_in_lab, until, until_async


async def run_with_stopped_generator(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> RunView:
    """Return a run whose load generator was stopped by SIGSTOP while it measured, and the timeout lowered.

    Before that the timeout is the real one: on a busy machine a generator takes a second to start.
    """
    run = await lab.runs.submit(RunRequest(model="reactor", plan=light(60)))
    active = lab.runs.active[run.id]

    def generator() -> int | None:
        running = active._trial and active._trial._generator
        shards = running._shards if running else ()
        pids = [shard.child.pid for shard in shards if isinstance(shard, LocalShard)]
        return next((pid for pid in pids if (meter := read_meter(pid)) and meter.completed), None)

    pid = await until_async(generator, "a response was received")
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(trial, "SILENCE_MAX_S", 1.0)
    monkeypatch.setattr(trial, "SILENCE_MAX_PER_S", 0.0)
    return run


def test_a_stopped_load_generator_is_killed_and_its_run_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> tuple[RunView, RunView]:
        run = await run_with_stopped_generator(lab, monkeypatch)
        after = await lab.runs.submit(RunRequest(model="reactor", plan=light()))
        first = await lab.runs.finished(run.id)
        monkeypatch.undo()  # before the engine of the next run has started
        return first, await lab.runs.finished(after.id)

    run, after = run_in_lab(tmp_path, play)
    assert (run.state, run.summary) == ("failed", None)
    assert run.failure == "The load generator was killed: no progress for 1 s."
    assert after.state == "finished" and after.summary, "the queue continues"


def test_a_run_with_a_stopped_load_generator_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> RunView:
        run = await run_with_stopped_generator(lab, monkeypatch)
        lab.runs.stop(run.id)
        return await lab.runs.finished(run.id)

    assert run_in_lab(tmp_path, play).state in ("stopped", "failed")


def test_an_engine_stopped_by_a_signal_is_degraded(lab: LabProcess) -> None:
    for model in ("reactor", "prefork"):
        engine = lab.start(model)

        def state(id: str = engine["id"]) -> str:
            return str(lab.get(f"/engines/{id}")["state"])

        os.kill(engine["pid"], signal.SIGSTOP)
        try:
            until(lambda: state() == "degraded", "the engine is degraded")
            assert "SIGSTOP" in lab.get(f"/engines/{engine['id']}")["detail"]
        finally:
            os.kill(engine["pid"], signal.SIGCONT)
        until(lambda: state() == "ready", "the engine is ready again")
