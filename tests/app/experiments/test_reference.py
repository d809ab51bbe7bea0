"""The reference answers: every claim has one, and its check gives it again on the recorded rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.experiments.catalogue import catalogue
from app.experiments.claim import Finding
from app.experiments.evidence import Evidence
from app.experiments.reference import reference, reference_answers
from app.schemas.experiment import ExperimentRound, ExperimentTrial
from app.schemas.states import Answer
from app.statistics.decision import ROUNDS
from tests.app.experiments.test_claims import REFUTED

RECORDED = reference().experiments
REVERSIBLE = [  # claims of a difference between two entries, which held
    id
    for id, view in RECORDED.items()
    if view.answer is Answer.HOLDS
    and catalogue()[id].kind == "ratio"
    and all(len(cell.entries) == 2 for cell in view.cells)
]


def answer(id: str, change: Callable[[ExperimentRound], ExperimentRound] = lambda each: each) -> Finding:
    """Return what a claim's check answers on the recorded rounds, each of them changed."""
    view = RECORDED[id]
    return catalogue()[id].check(Evidence([*map(change, view.rounds)], view.rounds_wanted, view.facts))


def reversed_entries(each: ExperimentRound) -> ExperimentRound:
    """Return a round whose two entries have each other's values."""
    names = [trial.entry for trial in each.trials]
    trials = [replace(trial, entry=name) for trial, name in zip(each.trials, reversed(names), strict=True)]
    return replace(each, trials=tuple(trials))


def without_valid_trials(each: ExperimentRound) -> ExperimentRound:
    """Return a round in which no figure is valid."""

    def void(trial: ExperimentTrial) -> ExperimentTrial:
        return replace(trial, void=dict.fromkeys(trial.values, "Recorded as void."))

    return replace(each, trials=tuple(map(void, each.trials)))


def test_every_claim_has_a_reference_answer_of_full_rounds() -> None:
    assert list(RECORDED) == list(catalogue()) and reference().commit
    for view in RECORDED.values():
        assert view.state == "finished" and view.answer and not view.quick and view.rounds_wanted == ROUNDS


@pytest.mark.parametrize("id", RECORDED)
def test_a_reference_answer_is_of_the_cells_that_the_claim_has_now(id: str) -> None:
    measured = {cell.key: cell for cell in RECORDED[id].cells}
    assert [*measured] == [cell.key for cell in catalogue()[id].cells], "measure it again"
    for cell in catalogue()[id].cells:
        recorded = measured[cell.key]
        assert [entry.key for entry in recorded.entries] == [entry.name for entry in cell.entries]
        given = {name: value for name, value in cell.plan.items() if name not in ("work", "groups")}
        assert given == {name: recorded.plan[name] for name in given}, "measure it again"


@pytest.mark.parametrize("id", RECORDED)
def test_the_check_gives_the_recorded_answer_on_the_recorded_rounds(id: str) -> None:
    assert answer(id).answer is RECORDED[id].answer


@pytest.mark.parametrize("id", REVERSIBLE)
def test_the_recorded_rounds_with_reversed_entries_refute(id: str) -> None:
    assert answer(id, reversed_entries).answer in REFUTED


@pytest.mark.parametrize("id", [id for id, view in RECORDED.items() if view.rounds])
def test_the_recorded_rounds_without_valid_trials_cannot_tell(id: str) -> None:
    found = answer(id, without_valid_trials)
    assert found.answer in (Answer.CANNOT_TEST, Answer.NOT_JUDGED)


def test_a_reference_answer_has_its_machine_and_commit() -> None:
    assert REVERSIBLE, "otherwise nothing was reversed"
    (found,) = reference_answers(REVERSIBLE[0])
    assert (found.experiment, found.answer, found.quick) == (None, Answer.HOLDS, False)
    assert found.environment["cpu_model"] and found.environment["commit"] == reference().commit
    assert reference_answers("nope") == ()
