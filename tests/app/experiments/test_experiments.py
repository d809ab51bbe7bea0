"""Experiments with real processes: sessions, shared cells, stop, resume, and what cannot be measured."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Invalid, LabError, NotNow, Unknown
from app.events import Event
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.live.job import current_job
from app.schemas.experiment import ExperimentView
from app.schemas.states import Answer, JobState
from app.statistics.decision import ROUNDS
from tests.app.driver import run_in_lab
from tests.app.experiments.tiny import CLAIMS, tiny_catalogue
from tests.waiting import BOUND_S


@pytest.fixture(autouse=True)
def small_claims() -> Iterator[None]:
    with tiny_catalogue():
        yield


def test_a_session_measures_a_shared_cell_once_and_answers_every_claim(tmp_path: Path) -> None:
    async def play(lab: Lab) -> list[ExperimentView]:
        request = ExperimentRequest(claims=["tiny-ratio", "tiny-count"], seed=3, prediction=Answer.HOLDS)
        submitted = await lab.experiments.submit(request)
        assert [view.session for view in submitted] == [(1, 2)] * 2
        assert all(view.left_s and view.left_s > 0 for view in submitted)
        return [await lab.experiments.finished(view.id) for view in submitted]

    ratio, count = run_in_lab(tmp_path, play)
    assert (ratio.state, ratio.answer, count.state, count.answer) == (
        JobState.FINISHED,
        Answer.HOLDS,
        JobState.FINISHED,
        Answer.HOLDS,
    )
    [result] = ratio.ratios
    assert len(result.ratios) == ROUNDS and result.ratio == 1.0
    assert [each.number for each in ratio.rounds] == list(range(1, ROUNDS + 1))
    assert all({trial.entry for trial in each.trials} == {"reactor", "blocking"} for each in ratio.rounds)
    orders = {tuple(trial.entry for trial in each.trials) for each in ratio.rounds}
    assert len(orders) == 2, "the order is random"
    assert set(count.runs) <= set(ratio.runs), "the count uses the trials of the ratio"
    assert ratio.calibration and ratio.calibration.answer is Answer.NO_DIFFERENCE and not ratio.is_noisy
    assert (ratio.prediction, ratio.seed, ratio.progress) == (Answer.HOLDS, 3, 1.0)


@pytest.mark.full
def test_quick_experiments_lean(tmp_path: Path) -> None:
    async def play(lab: Lab) -> ExperimentView:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-ratio"], quick=True))
        return await lab.experiments.finished(view.id)

    view = run_in_lab(tmp_path, play)
    assert (view.answer, len(view.rounds)) == (Answer.LEANS_HOLDS, 3)


@pytest.mark.full
def test_entries_are_traced_once_and_shared_by_the_claims_that_need_them(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        request = ExperimentRequest(
            claims=["tiny-ratio", "tiny-count"], quick=True, predicted_ratio=1.5, trace=True
        )
        ratio, count = [
            await lab.experiments.finished(view.id) for view in await lab.experiments.submit(request)
        ]
        assert set(ratio.traced) == {"blocking", "reactor"} and ratio.predicted_ratio == 1.5
        assert count.traced == {"reactor": ratio.traced["reactor"]}
        assert not set(ratio.traced.values()) & set(ratio.runs), "it is not counted"
        excerpt = lab.runs.excerpt(ratio.traced["blocking"])
        assert excerpt.model == "blocking" and excerpt.requests
        await lab.experiments.delete(ratio.id, with_runs=True)
        assert not lab.runs.exists(ratio.traced["blocking"])

    run_in_lab(tmp_path, play)


def test_stopping_the_trace_keeps_the_answer(tmp_path: Path) -> None:
    async def play(lab: Lab) -> ExperimentView:
        def stop_trace(event: Event) -> None:
            run = lab.runs.active.get(event.run or 0)
            if run and event.name == "run.warming" and (run.view.label or "").endswith("traced"):
                lab.experiments.stop_all()
                lab.runs.stop_all()

        lab.events.subscribe(stop_trace)
        [view] = await lab.experiments.submit(
            ExperimentRequest(claims=["tiny-count"], quick=True, trace=True)
        )
        return await lab.experiments.finished(view.id)

    view = run_in_lab(tmp_path, play)
    assert (view.state, view.answer, view.traced) == (JobState.FINISHED, Answer.HOLDS, {})


def test_nothing_is_traced_without_a_request_for_it(tmp_path: Path) -> None:
    async def play(lab: Lab) -> ExperimentView:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-count"], quick=True))
        return await lab.experiments.finished(view.id)

    assert run_in_lab(tmp_path, play).traced == {}


def test_what_cannot_be_measured_is_answered_with_the_reason(tmp_path: Path) -> None:
    async def play(lab: Lab) -> list[ExperimentView]:
        request = ExperimentRequest(claims=["tiny-absent", "tiny-too-many"])
        return [await lab.experiments.finished(view.id) for view in await lab.experiments.submit(request)]

    absent, too_many = run_in_lab(tmp_path, play)
    assert absent.answer is too_many.answer is Answer.CANNOT_TEST
    assert "There is no model" in absent.because[0] and "vus must be a whole number" in too_many.because[0]
    assert absent.runs == too_many.runs == ()


def test_a_stopped_experiment_keeps_its_rounds_and_can_be_resumed(tmp_path: Path) -> None:
    async def play(lab: Lab) -> tuple[ExperimentView, ExperimentView]:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-ratio"], seed=1, rounds=2))
        with pytest.raises(NotNow, match="still"):
            await lab.experiments.resume(view.id)
        has_stopped = False

        def stop_once(event: Event) -> None:
            nonlocal has_stopped
            if event.name == "experiment.round" and not has_stopped:
                has_stopped = True
                lab.experiments.stop_all()

        lab.events.subscribe(stop_once)
        stopped = await lab.experiments.finished(view.id)
        await lab.experiments.resume(view.id)
        resumed = await lab.experiments.finished(view.id)
        with pytest.raises(NotNow, match="finished"):
            await lab.experiments.resume(view.id)
        return stopped, resumed

    stopped, resumed = run_in_lab(tmp_path, play)
    assert (stopped.state, stopped.answer) == (JobState.STOPPED, None) and len(stopped.rounds) == 1
    assert (resumed.state, resumed.answer) == (JobState.FINISHED, Answer.LEANS_HOLDS)
    assert len(resumed.rounds) == 2 and resumed.rounds[0] == stopped.rounds[0]


def test_a_killed_control_plane_leaves_rounds_that_can_be_resumed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.app.experiments.killed", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        names = iter(process.stdout.readline, "")
        assert next(name for name in names if name == "experiment.round\n")
        process.send_signal(signal.SIGKILL)
        process.wait(BOUND_S)

    async def play(lab: Lab) -> tuple[ExperimentView, ExperimentView]:
        failed = lab.experiments.get(1)
        await lab.experiments.resume(1)
        return failed, await lab.experiments.finished(1)

    failed, resumed = run_in_lab(tmp_path, play)
    assert failed.state is JobState.FAILED and "resume" in (failed.failure or "") and failed.rounds
    assert (resumed.state, resumed.answer, resumed.failure) == (JobState.FINISHED, Answer.LEANS_HOLDS, None)
    assert resumed.rounds[: len(failed.rounds)] == failed.rounds


def test_rounds_of_another_machine_are_not_mixed(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-ratio"]))
        await lab.experiments.stop(view.id)
        lab.experiments.system = replace(lab.experiments.system, kernel="another")
        with pytest.raises(NotNow, match=r"other conditions \(kernel\)"):
            await lab.experiments.resume(view.id)

    run_in_lab(tmp_path, play)


@pytest.mark.parametrize(
    ("request_of", "pointer"),
    [
        ({"claims": ["nope"]}, "/claims/0"),
        ({"claims": ["tiny-ratio"], "rounds": 10}, "/rounds"),
        ({"claims": ["tiny-ratio"], "seed": -1}, "/seed"),
        ({"claims": ["tiny-ratio"], "prediction": "perhaps"}, "/prediction"),
        ({}, "/claims"),
        ({"claims": ["tiny-ratio"], "which": "all"}, "/claims"),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(
    tmp_path: Path, request_of: dict[str, object], pointer: str
) -> None:
    async def play(lab: Lab) -> None:
        with pytest.raises(Invalid) as refused:
            await lab.experiments.submit(ExperimentRequest(**request_of))  # type: ignore[arg-type]
        assert [problem.pointer for problem in refused.value.problems] == [pointer]
        assert await lab.experiments.history(10) == []
        with pytest.raises(Unknown):
            lab.experiments.claim("nope")

    run_in_lab(tmp_path, play)


def test_a_deleted_experiment_leaves_its_runs_unless_requested(tmp_path: Path) -> None:
    async def play(lab: Lab) -> tuple[int, int]:
        kept = []
        for with_runs in (False, True):
            [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-count"], quick=True))
            ended = await lab.experiments.finished(view.id)
            await lab.experiments.delete(view.id, with_runs)
            kept.append(sum(lab.runs.exists(run) for run in ended.runs))
            with pytest.raises(Unknown):
                lab.experiments.get(view.id)
        return kept[0], kept[1]

    assert run_in_lab(tmp_path, play) == (1, 0)


def test_rounds_that_cannot_be_saved_fail_the_experiment_and_are_kept(tmp_path: Path) -> None:
    async def play(lab: Lab) -> tuple[ExperimentView, ExperimentView]:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-count"]))
        with closing(sqlite3.connect(tmp_path / "threadlab.sqlite3", timeout=BOUND_S)) as database:
            database.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON experiments WHEN NEW.state != 'finished' "
                "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
            database.commit()
            failed = await lab.experiments.finished(view.id)
            with pytest.raises(LabError, match="was not resumed"):
                await lab.experiments.resume(view.id)
            assert lab.experiments.get(view.id).rounds == failed.rounds
            database.execute("DROP TRIGGER full")
            database.commit()
        await lab.experiments.resume(view.id)
        return failed, await lab.experiments.finished(view.id)

    failed, resumed = run_in_lab(tmp_path, play)
    assert failed.state is JobState.FAILED and len(failed.rounds) == 1
    assert failed.failure == "The result could not be saved: database or disk is full."
    assert (resumed.state, resumed.answer, len(resumed.rounds)) == (JobState.FINISHED, Answer.HOLDS, 2)


def test_an_experiment_is_resumed_once(tmp_path: Path) -> None:
    async def play(lab: Lab) -> None:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-count"]))
        lab.experiments.stop_all()
        await lab.experiments.finished(view.id)
        resumed = (lab.experiments.resume(view.id) for _ in range(2))
        results = await asyncio.gather(*resumed, return_exceptions=True)
        assert sorted(type(each).__name__ for each in results) == ["ExperimentView", "NotNow"]
        assert (await lab.experiments.finished(view.id)).answer is Answer.HOLDS

    run_in_lab(tmp_path, play)


def test_experiments_started_together_are_one_job(tmp_path: Path) -> None:
    async def play(lab: Lab) -> list[tuple[str, int, str]]:
        seen: list[tuple[str, int, str]] = []
        for claims in (["tiny-count"], ["tiny-count", "tiny-ratio"]):
            views = await lab.experiments.submit(ExperimentRequest(claims=claims, quick=True))
            while (job := current_job(lab)) is None:
                await asyncio.sleep(0)
            seen.append((job.kind, job.id - views[0].id, job.title))
            for view in views:
                await lab.experiments.stop(view.id)
                await lab.experiments.finished(view.id)
        while current_job(lab):
            await asyncio.sleep(0)
        return seen

    short = CLAIMS["tiny-count"].story.short
    assert run_in_lab(tmp_path, play) == [("experiment", 0, short), ("experiment", 0, "2 experiments")]
