"""Server pauses: their effect on the result, and that every engine continues, whatever ends the pause.

tests/measure/app/test_stall.py checks the latencies against the schedule; test_no_orphans.py kills a lab
during a pause.
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


def test_a_pause_shows_in_response_time_and_on_the_timeline_and_is_not_ranked(lab: LabProcess) -> None:
    """100 req/s are due; the engine is paused for 0.5 s in the middle of 3 s, or later on a busy machine."""
    run = lab.run(model="reactor", plan=light(3.0, stall_ms=500))
    summary, verdict = run["summary"], run["verdict"]
    assert (summary["requests"], summary["errors"]) == (300, {})
    assert verdict["evidence"]["stalled"] and not verdict["rankable"]
    assert set(verdict["fitness"].values()) == {"The plan pauses the server on purpose."}
    (mark,) = [mark for mark in run["marks"] if "paused for 500 ms" in mark["text"]]
    assert mark["t_s"] >= 1.249, "never earlier than planned"
    # Requests due in the first half of the pause wait for at least 250 ms: a twelfth of all.
    waiting = min(0.25, 3.0 - mark["t_s"]) / 3.0
    curve = lab.get(f"/runs/{run['id']}/percentiles")["response"]
    waited = [us for quantile, us in curve if quantile > 1.01 - waiting]
    assert waited and min(waited) >= 240_000
    assert summary["latency"]["response"]["max_us"] >= 480_000
    assert any("coordinated omission" in note for note in run["notes"])


def pause_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the pause with the measured time instead of in its middle."""
    monkeypatch.setattr(Trial, "_is_pause_time", lambda trial: trial._watcher.latest.phase == MEASURE)


async def begin_pause(lab: Lab, model: str) -> tuple[RunView, Engine]:
    """Return a run in which all processes of the engine are paused now, for 10 s."""
    started = await lab.fleet.start(model, {})
    engine = lab.fleet.engine(started.id)
    run = await lab.runs.submit(RunRequest(engine=engine.id, plan=light(60, stall_ms=10_000)))
    await until_async(lambda: all(state_of(pid) == "T" for pid in engine.pids), "all processes are paused")
    return run, engine


@pytest.mark.parametrize("model", ["reactor", "prefork"])
def test_an_engine_continues_when_its_run_is_stopped_during_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    async def play(lab: Lab) -> None:
        run, engine = await begin_pause(lab, model)
        assert len(engine.pids) == (3 if model == "prefork" else 1)
        lab.runs.stop(run.id)
        assert (await lab.runs.finished(run.id)).state == "stopped"
        assert all(state_of(pid) != "T" for pid in engine.pids)
        await until_async(lambda: engine.state == "ready", "the engine is ready again")

    pause_at_once(monkeypatch)
    run_in_lab(tmp_path, play)


def test_an_engine_continues_and_exits_when_the_lab_ends_during_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> Engine:
        return (await begin_pause(lab, "reactor-pool"))[1]

    pause_at_once(monkeypatch)
    engine = run_in_lab(tmp_path, play)
    assert engine.exit and engine.exit.reason == "was stopped and ended with exit code 0."
    assert engine.child and has_ended(engine.child.pid)
