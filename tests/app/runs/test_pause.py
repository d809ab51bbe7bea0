"""A stall on purpose: what it leaves in a result, and that no engine stays stopped, whatever ends the stall.

That both clocks show of it what the schedule says is in tests/measure/app/test_stall.py; a lab that is killed during a
stall is in test_no_orphans.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.fleet.engine import Engine
from app.lab import Lab
from app.load.protocol.meter import MEASURE
from app.runs.request import RunRequest
from app.runs.trial import Trial
from app.schemas.run import RunView
from tests.app.driver import LabProcess, has_ended, light, run_in_lab, state_of, until_async


def test_a_stall_shows_in_response_time_and_is_marked_and_not_ranked(lab: LabProcess) -> None:
    """A hundred requests a second are due while the engine is stopped for half a second, in the middle of 1.5 s."""
    run = lab.run(model="reactor", plan=light(1.5, stall_ms=500))
    summary, verdict = run["summary"], run["verdict"]
    assert (summary["requests"], summary["errors"]) == (150, {})
    assert verdict["evidence"]["stalled"] and not verdict["rankable"]
    assert set(verdict["fitness"].values()) == {"The plan paused the server on purpose."}
    (mark,) = [mark for mark in run["marks"] if "stalled for 500 ms" in mark["text"]]
    assert mark["t_s"] >= 0.499, "it never begins before its time"
    # What was due at its beginning waits for all of it, so of those of its first half each waits for 250 ms or more.
    curve = dict(lab.get(f"/runs/{run['id']}/percentiles")["response"])
    assert curve[0.9] >= 240_000, "and they are a sixth of all"
    assert summary["latency"]["response"]["max_us"] >= 480_000
    assert any("coordinated omission" in note for note in run["notes"])


def stalled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stall begins with the measured time, and not in the middle of it."""
    monkeypatch.setattr(Trial, "_is_middle", lambda trial: trial._watcher.now.phase == MEASURE)


async def begin_stall(lab: Lab, model: str) -> tuple[RunView, Engine]:
    """A run in which all processes of the engine are stopped now, for ten seconds."""
    started = await lab.fleet.start(model, {})
    engine = lab.fleet.engine(started.id)
    run = await lab.runs.submit(RunRequest(engine=engine.id, plan=light(60, stall_ms=10_000)))
    await until_async(
        lambda: all(state_of(pid) == "T" for pid in engine.pids), "all its processes are stopped"
    )
    return run, engine


@pytest.mark.parametrize("model", ["reactor", "prefork"])
def test_a_run_that_is_stopped_in_a_stall_lets_the_engine_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    async def play(lab: Lab) -> None:
        run, engine = await begin_stall(lab, model)
        assert len(engine.pids) == (3 if model == "prefork" else 1)
        lab.runs.stop(run.id)
        assert (await lab.runs.finished(run.id)).state == "stopped"
        assert all(state_of(pid) != "T" for pid in engine.pids)
        await until_async(lambda: engine.state == "ready", "it is seen to go on")

    stalled_at_once(monkeypatch)
    run_in_lab(tmp_path, play)


def test_a_lab_that_ends_in_a_stall_lets_the_engine_continue_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> Engine:
        return (await begin_stall(lab, "reactor-pool"))[1]

    stalled_at_once(monkeypatch)
    engine = run_in_lab(tmp_path, play)
    assert engine.exit and engine.exit.reason == "was stopped and ended with exit code 0."
    assert engine.child and has_ended(engine.child.pid)
