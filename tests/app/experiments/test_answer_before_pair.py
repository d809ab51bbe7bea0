"""The first answer is shown before the A/A pair that is missing, or that repeats a noisy one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from app.events import Event
from app.experiments import calibration
from app.experiments.calibration import B, pair_text
from app.experiments.claim import Entry
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.schemas.experiment import ExperimentView
from app.schemas.states import Answer, JobState
from tests.app.driver import run_in_lab
from tests.app.experiments.tiny import PLAN, check_by, tiny_catalogue


@pytest.fixture(autouse=True)
def noisy_first_pair() -> Iterator[None]:
    """Compare two models by their threads in the first pair, so that it shows a difference anywhere."""
    (cell,), (need,) = calibration.FIRST.cells, calibration.FIRST.ratios
    ratio = replace(need, figure="threads_peak")
    entries = (cell.entries[0], Entry("blocking", key=B))
    plan = {**PLAN, "think_time_ms": 6}  # no other claim shares its trials
    cells = (replace(cell, plan=plan, entries=entries),)
    noisy = replace(calibration.FIRST, cells=cells, needs=(ratio,), check=check_by(ratio))
    with tiny_catalogue(), patch.object(calibration, "FIRST", noisy):
        yield


def play(folder: Path, claims: list[str], during: Callable[[Lab], None]) -> list[ExperimentView]:
    """Run quick experiments, and call `during` when an answer is shown before a pair.

    Returns an experiment as it is then, and all of them as they ended.
    """

    async def played(lab: Lab) -> list[ExperimentView]:
        seen: list[ExperimentView] = []

        def look(event: Event) -> None:
            if event.experiment and event.text.endswith("before the A/A pair"):
                seen.append(lab.experiments.get(event.experiment))
                during(lab)

        lab.events.subscribe(look)
        submitted = await lab.experiments.submit(ExperimentRequest(claims=claims, quick=True))
        ended = [await lab.experiments.finished(view.id) for view in submitted]
        assert len(seen) == 1, "once in a session"
        return [*seen, *ended]

    return run_in_lab(folder, played)


def nothing(_: Lab) -> None:
    pass


def stop(lab: Lab) -> None:
    lab.experiments.stop_all()
    lab.runs.stop_all()


@pytest.mark.full
def test_the_first_of_several_answers_is_shown_with_its_mark_before_the_pair_is_repeated(
    tmp_path: Path,
) -> None:
    shown, ended, count = play(tmp_path, ["tiny-ratio", "tiny-count"], nothing)
    assert (shown.state, shown.has_answer, shown.answer) == (JobState.RUNNING, True, Answer.LEANS_HOLDS)
    assert shown.is_noisy and shown.calibration and shown.calibration.pairs == 1
    assert pair_text(shown.calibration).endswith("noisy")
    assert (ended.state, ended.answer, ended.rounds) == (JobState.FINISHED, shown.answer, shown.rounds)
    assert ended.calibration and ended.calibration.pairs == 2 and not ended.is_noisy
    assert pair_text(ended.calibration).endswith("quiet, after a noisy pair")
    assert count.answer is Answer.HOLDS


@pytest.mark.full
def test_a_single_answer_is_shown_before_any_pair(tmp_path: Path) -> None:
    shown, ended = play(tmp_path, ["tiny-ratio"], nothing)
    assert (shown.state, shown.answer, shown.calibration) == (JobState.RUNNING, Answer.LEANS_HOLDS, None)
    assert len(shown.rounds) == shown.rounds_wanted
    assert (ended.state, ended.answer, ended.rounds) == (JobState.FINISHED, shown.answer, shown.rounds)
    assert ended.calibration and ended.calibration.pairs == 2 and not ended.is_noisy


def test_an_answer_whose_pair_was_stopped_is_kept_and_doubtful(tmp_path: Path) -> None:
    shown, ended = play(tmp_path, ["tiny-ratio"], stop)
    assert (ended.state, ended.answer) == (JobState.FINISHED, shown.answer)
    assert ended.is_noisy and ended.calibration and pair_text(ended.calibration) == "not measured"


@pytest.mark.full
def test_stopping_the_repeated_pair_keeps_answer_and_mark(tmp_path: Path) -> None:
    shown, ended, _ = play(tmp_path, ["tiny-ratio", "tiny-count"], stop)
    assert (ended.state, ended.answer) == (JobState.FINISHED, shown.answer)
    assert ended.is_noisy and ended.calibration == shown.calibration


def test_a_count_needs_no_pair(tmp_path: Path) -> None:
    async def played(lab: Lab) -> ExperimentView:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-count"], quick=True))
        return await lab.experiments.finished(view.id)

    view = run_in_lab(tmp_path, played)
    assert (view.calibration, view.answered_at) == (None, None)
