"""The rounds of a cell on the hosts of a cluster, and how an answer depends on the kind of host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.experiments.checks import WORDS
from app.experiments.evidence import Evidence
from app.experiments.session import ActiveExperiment, Session, SessionCell
from app.rounds.kinds import differ
from app.rounds.schedule import OpenRound
from app.runs.request import RunRequest
from app.schemas.host import HostView
from app.schemas.run import RunView
from app.schemas.states import Answer
from app.statistics.decision import QUICK_ROUNDS

if TYPE_CHECKING:
    from app.experiments.worker import ExperimentWorker

DECIDED = (Answer.HOLDS, Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE)


@dataclass(eq=False)
class CellRounds:
    """The rounds of one cell. Satisfies `HostedRounds`. began_s: when each open round began, by number."""

    worker: ExperimentWorker
    session: Session
    cell: SessionCell
    began_s: dict[int, float] = field(default_factory=dict)

    @property
    def is_stopped(self) -> bool:
        return self.session.is_stopped or not self.cell.is_needed

    @property
    def has_more(self) -> bool:
        self.session.drop_needless_pairs()
        return self.cell.schedule.next_order() is not None

    def begin(self) -> OpenRound | None:
        return self.cell.schedule.begin()

    def title(self, round: OpenRound) -> str:
        names = dict.fromkeys(f"experiment {each.view.id}" for each, _ in self.cell.used_by if each.view.id)
        return f"{', '.join(names) or 'A/A pair'}, round {round.number}"

    def requests(self, round: OpenRound) -> Sequence[RunRequest]:
        self.began_s[round.number] = time.monotonic()
        return [trial_request(self.session, self.cell, index, round.number) for index in round.order]

    async def record(self, round: OpenRound, runs: Sequence[RunView], host: HostView) -> None:
        session, cell = self.session, self.cell
        each_s = (time.monotonic() - self.began_s.pop(round.number)) / len(runs)
        session.add_trials(len(runs), each_s, cell.seconds)
        session.host_names.add(host.name)
        measured = dict(zip(round.order, runs, strict=True))
        async with session.recording:  # rounds of other cells belong to the same experiments
            await asyncio.to_thread(self.worker.record_round, session, cell, round, measured, host)
        self.worker.report_round(cell, round.number)

    def on_progress(self, ended_runs: int) -> None:
        """Do nothing: the progress of an experiment counts whole rounds."""

    def note(self, sentence: str) -> None:
        for experiment, _ in self.cell.used_by:
            experiment.lost_rounds.append(sentence)


def trial_request(session: Session, cell: SessionCell, index: int, number: int) -> RunRequest:
    """Return the run of an entry of a cell in a round."""
    entry = cell.entries[index]
    users = (each for each, _ in cell.used_by if not (each.is_ended or each.is_calibration))
    owner = next(users, session.experiments[0])
    return RunRequest(
        model=entry.model,
        knobs=entry.knobs,
        plan=cell.plan,
        experiment=owner.view.id,
        label=f"experiment {owner.view.id}: {owner.claim.id}, {entry.name}, round {number}",
    )


def kind_note(experiment: ActiveExperiment) -> str | None:
    """Return the note that the answer depends on the kind of host; None: it does not, or it is not known."""
    kinds = {host.name: host.kind for host in experiment.view.hosts}
    if len(set(kinds.values())) < 2:
        return None
    answers: dict[str, str] = {}
    for kind in dict.fromkeys(kinds.values()):
        rounds = [each for each in experiment.rounds if kinds.get(each.host or "") == kind]
        evidence = Evidence(rounds, QUICK_ROUNDS, experiment.view.facts, experiment.blocked)
        answer = experiment.claim.check(evidence).answer
        if answer in DECIDED:
            answers[kind] = WORDS[answer]
    return differ(answers)
