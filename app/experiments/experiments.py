"""Experiments: submit, follow, stop, resume and delete them, and read claims with their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import Invalid, LabError, NotNow
from app.events import Events
from app.experiments import calibration, views
from app.experiments.catalogue import catalogue, get_claim, select_claims
from app.experiments.claim import Claim
from app.experiments.evidence import blocked_key
from app.experiments.facts import gather
from app.experiments.reference import reference_answers, reference_experiment
from app.experiments.session import ActiveExperiment, Session, merge_cells
from app.experiments.worker import ExperimentWorker
from app.fleet.models import Models
from app.history.config_diff import environment_differences
from app.load.protocol.plan import Plan
from app.machine import system
from app.rounds.bounds import check_rounds
from app.rounds.on_hosts import RoundHosts
from app.runs.queue import JobQueue
from app.runs.runs import Runs
from app.schemas.experiment import AnswerView, ClaimView, ExperimentView, LastAnswer
from app.schemas.states import Answer, JobState
from app.schemas.system import SystemView
from app.statistics.decision import QUICK_ROUNDS, ROUNDS
from app.store.database import SAVE_ERRORS, error_reason
from app.store.experiments import ExperimentStore
from app.timestamps import rfc3339_now

QUEUE_MAX = 100  # experiments that wait; all claims at once are fewer
ANSWERS_SHOWN = 5
TRIAL_S, WARMUP_S = 3.0, 1.0  # of a cell that does not say otherwise
QUICK_TRIAL_S, QUICK_WARMUP_S = 2.0, 0.7
PREDICTABLE = (Answer.HOLDS, Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE, Answer.TOO_CLOSE)
CLAIMS_MAX = 100


@dataclass(frozen=True, slots=True)
class ExperimentRequest:
    """Requested experiments: claims by id, or a set of them ("article", "all").

    `rounds`: valid rounds of each ratio (default 7, or 3 if quick). `seed`: of the random orders; None: a new
    one. `prediction`, `predicted_ratio`: what the reader expects; it is stored with the result. `trace`: run
    the entries of the first need once more with a thread trace, which shows why and is not counted.
    """

    claims: Sequence[str] = ()
    which: str | None = None
    rounds: int | None = None
    quick: bool = False
    prediction: Answer | str | None = None
    predicted_ratio: float | None = None
    trace: bool = False
    seed: int | None = None
    label: str | None = None


@dataclass(eq=False)
class Experiments:
    """All experiments: queued, in progress and in the history. Event loop only."""

    models: Models
    runs: Runs
    store: ExperimentStore
    system: SystemView
    events: Events
    hosts: RoundHosts

    def __post_init__(self) -> None:
        self.jobs: JobQueue[ActiveExperiment, ExperimentView] = JobQueue(
            "experiment", QUEUE_MAX, self.store, self._current_view
        )
        self.active = self.jobs.active
        self._worker = ExperimentWorker(self.runs, self.store, self.events, self.jobs, self.hosts)
        self.run_queue = self._worker.run_queue
        self.get = self.jobs.get
        self.history = self.jobs.newest
        self.finished = self.jobs.finished
        self.save_unsaved = self.jobs.save_unsaved
        self.count = self.store.count

    async def submit(self, request: ExperimentRequest) -> list[ExperimentView]:
        """Queue experiments as one session and return them. Raises LabError; nothing is queued then."""
        rounds = request.rounds or (QUICK_ROUNDS if request.quick else ROUNDS)
        seed = check_rounds(rounds, request.seed)
        if request.prediction not in (None, *PREDICTABLE):
            raise Invalid.field("/prediction", f"prediction must be one of {', '.join(PREDICTABLE)}.")
        claims = select_claims(request.claims, request.which)
        prepared = [self._prepare(claim, request, rounds, seed) for claim in claims]
        return await self._enqueue(prepared, seed, request.quick)

    async def resume(self, id: int) -> ExperimentView:
        """Queue an experiment again that ended early, and return it. It keeps its complete rounds.

        Raises Unknown, and NotNow if it has its answer, or if the machine is another one by now.
        """
        self.jobs.require_ended(id)
        view = self.get(id)
        if view.state not in (JobState.FAILED, JobState.STOPPED):
            raise NotNow(f"Experiment {id} is {view.state}; only one that ended early can be resumed.")
        if different := environment_differences(view.environment, system.environment(self.system)):
            raise NotNow(
                f"Experiment {id} was measured under other conditions ({', '.join(different)}): its rounds "
                "cannot be mixed with new ones. Start a new experiment."
            )
        request = ExperimentRequest(
            quick=view.quick,
            prediction=view.prediction,
            predicted_ratio=view.predicted_ratio,
            trace=view.wants_trace,
            label=view.label,
        )
        prepared = self._prepare(get_claim(view.claim), request, view.rounds_wanted, view.seed)
        prepared.rounds = list(view.rounds)
        prepared.view = replace(
            prepared.view,
            id=id,
            rounds=view.rounds,
            runs=view.runs,
            created_at=view.created_at,
            session=(id,),
        )
        session = self._session([prepared], view.seed, view.quick)
        self.active[id] = prepared  # before anything is awaited, so that it cannot be resumed twice
        try:
            await asyncio.to_thread(self.store.reopen, prepared.view)
        except SAVE_ERRORS as error:
            del self.active[id]
            raise LabError(
                f"Experiment {id} was not resumed: it could not be saved ({error_reason(error)})."
            ) from error
        self.jobs.forget(id)
        self._worker.enqueue(session)
        return self.get(id)

    async def _enqueue(
        self, prepared: list[ActiveExperiment], seed: int, quick: bool
    ) -> list[ExperimentView]:
        added = await self.jobs.add([each.view for each in prepared], len(self.active))
        ids = tuple(view.id for view in added)
        for experiment, view in zip(prepared, added, strict=True):
            experiment.view = replace(view, session=ids)
        session = self._session(prepared, seed, quick)
        for experiment in prepared:
            total = session.remaining_trials(experiment)
            experiment.view = replace(experiment.view, trials_total=total)
            self.active[experiment.view.id] = experiment
        self._worker.enqueue(session)
        return [self.get(id) for id in ids]

    def _session(self, prepared: list[ActiveExperiment], seed: int, quick: bool) -> Session:
        calibrating: tuple[ActiveExperiment, ...] = ()
        if any(each.needs_calibration for each in prepared):
            calibrating = tuple(
                self._calibration(claim, prepared[0].view, quick)
                for claim in (calibration.FIRST, calibration.REPEATED)
            )
        session = Session(prepared, calibrating, seed)
        for each in prepared:
            each.session = session
        first = calibrating[:1]
        # A single answer does not wait for the pair; several are closed one by one, each with its mark.
        members = [*prepared, *first] if len(prepared) == 1 else [*first, *prepared]
        session.cells = merge_cells(members, seed)
        if calibrating:
            [session.repeated_calibration] = merge_cells(calibrating[1:], seed + 1)
        return session

    def _calibration(self, claim: Claim, view: ExperimentView, quick: bool) -> ActiveExperiment:
        plans = {cell.key: self._plan(cell.plan, quick) for cell in claim.cells}
        return ActiveExperiment(replace(view, rounds=()), claim, plans, is_calibration=True)

    def _prepare(self, claim: Claim, request: ExperimentRequest, rounds: int, seed: int) -> ActiveExperiment:
        plans, blocked = self._plans(claim, request.quick)
        view = ExperimentView(
            id=0,
            state=JobState.QUEUED,
            progress=0.0,
            left_s=None,
            label=request.label,
            claim=claim.id,
            text=claim.text,
            session=(),
            quick=request.quick,
            rounds_wanted=rounds,
            seed=seed,
            prediction=Answer(request.prediction) if request.prediction else None,
            cells=tuple(views.cell_view(self.models, cell, plans.get(cell.key)) for cell in claim.cells),
            trials_total=0,
            rounds=(),
            ratios=(),
            answer=None,
            because=(),
            calibration=None,
            facts={},
            runs=(),
            current=None,
            environment=system.environment(self.system),
            failure=None,
            created_at=rfc3339_now(),
            finished_at=None,
            predicted_ratio=request.predicted_ratio,
            wants_trace=request.trace,
        )
        return ActiveExperiment(view, claim, plans, blocked, gather_facts=lambda: self._facts(claim))

    def _facts(self, claim: Claim) -> dict[str, Any]:
        """Thread-safe. Reads the history and the sources of the engines."""
        answers = self._last_answers() if "answers" in claim.facts else {}
        return gather(claim.facts, self.models, answers)

    def _plans(self, claim: Claim, quick: bool) -> tuple[dict[str, Plan], dict[str, str]]:
        """Return the plans of a claim's cells, and why cells or entries of them cannot be measured."""
        plans: dict[str, Plan] = {}
        blocked: dict[str, str] = {}
        for cell in claim.cells:
            try:
                plans[cell.key] = plan = self._plan(cell.plan, quick)
            except LabError as error:
                blocked[cell.key] = error.detail
                continue
            for entry in cell.entries:
                try:
                    self.runs.validator.target(None, entry.model, entry.knobs, plan)
                except LabError as error:
                    blocked[blocked_key(cell.key, entry.name)] = error.detail
        return plans, blocked

    def _plan(self, given: Mapping[str, Any], quick: bool) -> Plan:
        seconds = (
            {"duration_s": QUICK_TRIAL_S, "warmup_s": QUICK_WARMUP_S}
            if quick
            else {"duration_s": TRIAL_S, "warmup_s": WARMUP_S}
        )
        _, plan = self.runs.validator.plan(None, {**seconds, **given})
        return plan

    def _last_answers(self) -> dict[str, Answer]:
        """Return the newest answer of each claim."""
        newest = ((id, self.store.answered(id, 1)) for id in catalogue())
        return {id: found[0].answer for id, found in newest if found and found[0].answer}

    def last_answer(self, claim: str) -> LastAnswer | None:
        """Return the newest experiment of a claim with an answer, else that of the reference machine.

        Thread-safe. None: there is none.
        """
        if own := self.store.answered(claim, 1):
            return LastAnswer(own[0], is_reference=False)
        found = reference_experiment(claim)
        return LastAnswer(found, is_reference=True) if found else None

    def last_calibrated(self) -> ExperimentView | None:
        """Return the newest experiment with an A/A pair that was measured under the present conditions.

        Thread-safe. None: there is none.
        """
        found = self.store.calibrated()
        if found is None or environment_differences(found.environment, system.environment(self.system)):
            return None
        return found

    @property
    def claim_ids(self) -> tuple[str, ...]:
        """The ids of all claims, in the order of the article."""
        return tuple(catalogue())

    def claim(self, id: str) -> ClaimView:
        """Return a claim with its last answers. Raises Unknown."""
        return self._claim_view(get_claim(id))

    def of_claim(self, id: str, limit: int) -> list[ExperimentView]:
        """Return the newest experiments of a claim with an answer, newest first. Thread-safe."""
        return self.store.answered(id, limit)

    def estimate_s(self, which: str, quick: bool = False) -> float:
        """Return how long a claim or a set of claims ("article", "all") takes, in seconds. Thread-safe."""
        is_set = which in ("article", "all")
        claims = select_claims(() if is_set else (which,), which if is_set else None)
        rounds = QUICK_ROUNDS if quick else ROUNDS
        request = ExperimentRequest(quick=quick)
        prepared = [self._prepare(claim, request, rounds, 0) for claim in claims]
        return self._session(prepared, 0, quick).left_s()

    def claims(self) -> list[ClaimView]:
        """Return all claims in the order of the article, with their last answers."""
        return [self._claim_view(claim) for claim in catalogue().values()]

    def _claim_view(self, claim: Claim) -> ClaimView:
        plans, _ = self._plans(claim, quick=False)
        own = tuple(
            AnswerView(
                experiment=view.id,
                answer=view.answer,
                because=view.because,
                quick=view.quick,
                noisy=view.is_noisy,
                finished_at=view.finished_at or view.created_at,
                environment=view.environment,
            )
            for view in self.store.answered(claim.id, ANSWERS_SHOWN)
            if view.answer
        )
        answers = own or reference_answers(claim.id)
        request = ExperimentRequest(claims=(claim.id,))
        alone = self._session([self._prepare(claim, request, ROUNDS, 0)], 0, quick=False)
        return views.claim_view(self.models, claim, plans, answers, alone.left_s())

    async def stop(self, id: int) -> ExperimentView:
        """End an experiment early; its rounds are kept. Raises Unknown, or NotNow if it has ended."""
        experiment = self.jobs.require_active(id)
        await self._worker.stop(experiment)
        return self.get(id)

    def stop_all(self) -> None:
        """End the experiments in progress and remove what is queued."""
        for experiment in self.active.values():
            experiment.stop_requested = True

    async def delete(self, id: int, with_runs: bool = False) -> None:
        """Delete an experiment; its runs stay in the history unless `with_runs`. Raises Unknown, NotNow."""
        self.jobs.require_ended(id)
        if with_runs:
            view = self.get(id)
            runs = (*view.runs, *view.traced.values())
            await self.runs.delete([run for run in runs if self.runs.exists(run)])
        await asyncio.to_thread(self.store.delete, id)
        self.jobs.forget(id)

    def _current_view(self, experiment: ActiveExperiment) -> ExperimentView:
        session = experiment.session
        if session is None:
            return experiment.view
        left = session.remaining_trials(experiment)
        ended = len(experiment.view.runs)
        current = self.runs.active.get(experiment.view.current or 0)
        share = current.progress().progress if current else 0.0
        return replace(
            experiment.view,
            progress=min(1.0, (ended + share) / (ended + left or 1)),
            left_s=session.left_s(experiment),
        )
