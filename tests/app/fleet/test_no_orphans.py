"""The control plane is killed, or ends: nothing that it started is left, and nothing that it knew is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.cli import shell
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
    in_a_lab,
    light,
    plan,
    state_of,
    until,
)


def of_finished(lab: LabProcess) -> tuple[Any, Any, str]:
    """A run that has finished: its view, series and histogram."""
    run = lab.run(model="reactor", plan=light())
    return run, lab.get(f"/runs/{run['id']}/series"), lab.http.get(f"/api/v1/runs/{run['id']}/histogram").text


def still_known(lab: Lab, known: tuple[Any, Any, str]) -> bool:
    """Whether a lab has this finished run as it was."""
    run, series, histogram = known
    now = lab.runs.series(run["id"])
    return (
        shell.to_json(lab.runs.get(run["id"])) == run
        and {**now, "columns": list(now["columns"])} == series
        and lab.runs.histogram(run["id"]) == histogram
    )


def next_is_queued(lab: LabProcess, comparison: int) -> Any:
    """The comparison, if trials of it have ended and its current one is not one of these."""
    view = lab.get(f"/comparisons/{comparison}")
    ended = [trial["run"] for trial in view["runs"]]
    return view if ended and view["current"] not in (None, *ended) else None


def test_a_killed_control_plane_leaves_no_process_and_loses_no_run_and_no_comparison(
    make_lab: LabMaker, tmp_path: Path
) -> None:
    """It is killed while it has engines, a run, a queued run and a comparison, and has stopped an engine on purpose.

    The comparison's next trial is queued behind the run, so it cannot end before the kill.
    """
    lab = make_lab(data_dir=tmp_path)
    finished = of_finished(lab)
    comparison = lab.post("/comparisons", {"models": ["reactor"], "trials": 10, "plan": light()}).json()
    until(lambda: lab.get(f"/comparisons/{comparison['id']}")["current"], "the first trial begins")
    engines = [lab.start(model) for model in ("blocking", "reactor-pool", "main-sub")]
    going = lab.submit(engine=engines[0]["id"], plan=plan(6.0, 0, stall_ms=3000, think_time_ms=20))["id"]
    waiting = lab.submit(model="blocking", plan=endless())["id"]
    until(lambda: state_of(engines[0]["pid"]) == "T", "its engine is stopped")
    comparison = until(
        lambda: next_is_queued(lab, comparison["id"]), "a trial has ended, and the next is queued"
    )
    children = [command_line(pid) for pid in lab.others()]
    assert sum("-m engines" in line for line in children) == 3, children
    assert len(generators(lab.others())) == 1
    lab.kill()
    until(lambda: not lab.others(), "every child is gone, the stopped one as well", every_s=0.05)

    async def afterwards(again: Lab) -> ComparisonView:
        assert still_known(again, finished)
        for id in (going, waiting):
            run = again.runs.get(id)
            assert run.state == "failed" and run.finished_at and "control plane" in (run.failure or "")
        assert again.fleet.alive == []
        view = again.comparisons.get(comparison["id"])
        await again.comparisons.delete(view.id, with_runs=True)
        assert [run.id for run in await again.runs.history(100)] == [waiting, going, finished[0]["id"]], (
            "the trial that was queued is gone as well"
        )
        run = await again.runs.submit(RunRequest(model="reactor", plan=light()))
        assert (await again.runs.finished(run.id)).state == "finished", "its data can be used"
        return view

    view = in_a_lab(tmp_path, afterwards)
    assert (view.state, view.current) == ("failed", None) and view.finished_at
    assert "control plane stopped" in (view.failure or "")
    assert [trial.run for trial in view.runs] == [trial["run"] for trial in comparison["runs"]]
    assert view.result and view.result.standings[0].trials == len(view.runs)


def test_a_control_plane_that_ends_stops_engines_and_runs_and_keeps_what_it_knew(
    make_lab: LabMaker, tmp_path: Path
) -> None:
    lab = make_lab(data_dir=tmp_path)
    finished = of_finished(lab)
    lab.start("main-sub")
    run = lab.submit(model="reactor", plan=endless())
    lab.measuring(run["id"])
    lab.close()  # asserts that nothing is left

    async def afterwards(again: Lab) -> RunView:
        assert still_known(again, finished)
        return again.runs.get(run["id"])

    view = in_a_lab(tmp_path, afterwards)
    assert view.state == "stopped" and view.summary and view.summary.requests > 0, "what was measured is kept"


def test_a_run_of_another_lab_on_the_same_data_is_left_alone(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    lab.measuring(run["id"])

    async def beside(other: Lab) -> None:
        assert other.runs.get(run["id"]).state not in ("failed", "stopped")
        with pytest.raises(NotNow, match=f"pid {lab.pid}"):
            other.runs.stop(run["id"])
        with pytest.raises(NotNow, match=f"pid {lab.pid}"):
            await other.runs.delete([run["id"]])
        with pytest.raises(NotNow, match="another process"):
            await other.history.relabel(run["id"], "theirs")
        ended = await asyncio.to_thread(lab.stop, run["id"])
        assert ended["state"] == "stopped"
        assert shell.to_json(other.runs.get(run["id"])) == ended

    in_a_lab(lab.data_dir, beside)


def test_labs_on_the_same_data_carry_out_one_run_at_a_time(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    lab.measuring(run["id"])

    async def beside(other: Lab) -> None:
        second = await other.runs.submit(RunRequest(model="reactor", plan=light()))
        turns = (
            (await asyncio.to_thread(lab.get, f"/runs/{run['id']}"))["state"],
            other.runs.get(second.id).state,
        )
        assert turns == ("running", "queued")
        await asyncio.to_thread(lab.stop, run["id"])
        assert (await other.runs.finished(second.id)).state == "finished"

    in_a_lab(lab.data_dir, beside)
