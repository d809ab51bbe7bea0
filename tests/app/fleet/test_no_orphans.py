"""After a kill or a shutdown of the control plane no child process is left and no stored run is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.cli.output import run_json
from app.errors import NotNow
from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from tests.app.driver import (
    LabMaker,
    LabProcess,
    command_line,
    endless,
    generators,
    light,
    plan,
    run_in_lab,
    state_of,
    until,
)


def finished_run(lab: LabProcess) -> tuple[Any, Any, str]:
    """Run a test and return its view, series and histogram."""
    run = lab.run(model="reactor", plan=light())
    return run, lab.get(f"/runs/{run['id']}/series"), lab.http.get(f"/api/v1/runs/{run['id']}/histogram").text


def is_stored(lab: Lab, finished: tuple[Any, Any, str]) -> bool:
    """Return whether a lab still has the results of a finished run."""
    run, series, histogram = finished
    stored = lab.runs.series(run["id"])
    return (
        run_json(lab.runs.get(run["id"])) == run
        and {**stored, "columns": list(stored["columns"])} == series
        and lab.runs.histogram(run["id"]) == histogram
    )


def next_is_queued(lab: LabProcess, comparison: int) -> Any:
    """Return the comparison if a trial has ended and the next one is queued, else None."""
    view = lab.get(f"/comparisons/{comparison}")
    ended = [trial["run"] for trial in view["runs"]]
    return view if ended and view["current"] not in (None, *ended) else None


def test_a_killed_control_plane_leaves_no_process_and_loses_no_results(
    make_lab: LabMaker, tmp_path: Path
) -> None:
    """Kill it while it has engines, a run, a queued run, a comparison and an engine that is paused.

    The comparison's next trial is queued behind the run, so it cannot end before the kill.
    """
    lab = make_lab(data_dir=tmp_path)
    finished = finished_run(lab)
    comparison = lab.post("/comparisons", {"models": ["reactor"], "rounds": 9, "plan": light()}).json()
    until(lambda: lab.get(f"/comparisons/{comparison['id']}")["current"], "the first trial begins")
    engines = [lab.start(model) for model in ("blocking", "reactor-pool", "main-sub")]
    running = lab.submit(engine=engines[0]["id"], plan=plan(6.0, 0, stall_ms=3000, think_time_ms=20))["id"]
    waiting = lab.submit(model="blocking", plan=endless())["id"]
    until(lambda: state_of(engines[0]["pid"]) == "T", "its engine is paused")
    comparison = until(
        lambda: next_is_queued(lab, comparison["id"]), "a trial has ended, and the next is queued"
    )
    children = [command_line(pid) for pid in lab.child_pids()]
    assert sum("-m engines" in line for line in children) == 3, children
    assert len(generators(lab.child_pids())) == 1
    lab.kill()
    until(lambda: not lab.child_pids(), "all child processes have ended, also the paused one", every_s=0.05)

    async def after_restart(restarted: Lab) -> ComparisonView:
        assert is_stored(restarted, finished)
        for id in (running, waiting):
            run = restarted.runs.get(id)
            assert run.state == "failed" and run.finished_at and "control plane" in (run.failure or "")
        assert restarted.fleet.alive == []
        view = restarted.comparisons.get(comparison["id"])
        await restarted.comparisons.delete(view.id, with_runs=True)
        assert [run.id for run in await restarted.runs.history(100)] == [
            waiting,
            running,
            finished[0]["id"],
        ], "the queued trial was deleted as well"
        run = await restarted.runs.submit(RunRequest(model="reactor", plan=light()))
        assert (await restarted.runs.finished(run.id)).state == "finished", "the data directory can be used"
        return view

    view = run_in_lab(tmp_path, after_restart)
    assert (view.state, view.current) == ("failed", None) and view.finished_at
    assert "control plane stopped" in (view.failure or "")
    assert [trial.run for trial in view.runs] == [trial["run"] for trial in comparison["runs"]]
    assert view.result and view.result.standings[0].trials == len(view.runs)


def test_shutdown_stops_engines_and_runs_and_keeps_their_results(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab(data_dir=tmp_path)
    finished = finished_run(lab)
    lab.start("main-sub")
    run = lab.submit(model="reactor", plan=endless())
    lab.wait_measuring(run["id"])
    lab.close()  # asserts that no process is left

    async def after_restart(restarted: Lab) -> RunView:
        assert is_stored(restarted, finished)
        return restarted.runs.get(run["id"])

    view = run_in_lab(tmp_path, after_restart)
    assert view.state == "stopped" and view.summary and view.summary.requests > 0, "the measured part is kept"


def test_a_lab_does_not_change_the_run_of_another_lab_on_the_same_data(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    lab.wait_measuring(run["id"])

    async def use(other: Lab) -> None:
        assert other.runs.get(run["id"]).state not in ("failed", "stopped")
        with pytest.raises(NotNow, match=f"pid {lab.pid}"):
            other.runs.stop(run["id"])
        with pytest.raises(NotNow, match=f"pid {lab.pid}"):
            await other.runs.delete([run["id"]])
        with pytest.raises(NotNow, match="another process"):
            await other.history.annotate(run["id"], {"label": "theirs"})
        ended = await asyncio.to_thread(lab.stop, run["id"])
        assert ended["state"] == "stopped"
        assert run_json(other.runs.get(run["id"])) == ended

    run_in_lab(lab.data_dir, use)


def test_labs_on_the_same_data_run_one_test_at_a_time(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    lab.wait_measuring(run["id"])

    async def use(other: Lab) -> None:
        second = await other.runs.submit(RunRequest(model="reactor", plan=light()))
        states = (
            (await asyncio.to_thread(lab.get, f"/runs/{run['id']}"))["state"],
            other.runs.get(second.id).state,
        )
        assert states == ("running", "queued")
        await asyncio.to_thread(lab.stop, run["id"])
        assert (await other.runs.finished(second.id)).state == "finished"

    run_in_lab(lab.data_dir, use)
