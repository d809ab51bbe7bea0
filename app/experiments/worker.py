"""Carries out sessions of experiments, one at a time: cell by cell, round by round, trial by trial.

Each trial is a run like any other, with a new engine and a warm-up. An experiment is answered as soon as all
its cells are complete. Its rounds are saved after each round, so that nothing is lost with the control plane.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace

from app.errors import LabError
from app.events import Event, Events
from app.experiments.calibration import calibrate
from app.experiments.checks import WORDS
from app.experiments.claim import Cell
from app.experiments.measurements import values, void_reasons
from app.experiments.on_hosts import CellRounds, kind_note, trial_request
from app.experiments.session import ActiveExperiment, Session, SessionCell
from app.rounds.kinds import noted, with_round
from app.rounds.on_hosts import RoundHosts
from app.rounds.schedule import OpenRound
from app.runs.queue import JobQueue, report_bug
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.experiment import Calibration, ExperimentRound, ExperimentTrial, ExperimentView
from app.schemas.host import HostView
from app.schemas.run import RunView
from app.schemas.states import Answer, JobState, RunState
from app.statistics.decision import ROUNDS
from app.store.database import SAVE_ERRORS, error_reason
from app.store.experiments import ExperimentStore
from app.timestamps import rfc3339_now

TRACED_S = 1.5  # of the trial that shows why; its figures do not count

Jobs = JobQueue[ActiveExperiment, ExperimentView]


class ExperimentWorker:
    """Carries out queued sessions, one at a time. Event loop only."""

    def __init__(
        self, runs: Runs, store: ExperimentStore, events: Events, jobs: Jobs, hosts: RoundHosts
    ) -> None:
        self._runs = runs
        self._hosts = hosts
        self._store = store
        self._events = events
        self._jobs = jobs
        self._queue: asyncio.Queue[Session] = asyncio.Queue()

    def enqueue(self, session: Session) -> None:
        """Queue a session. Its experiments must be among the active ones."""
        self._queue.put_nowait(session)
        for experiment in session.experiments:
            self._report(experiment, "experiment.queued", f"{_name(experiment)} queued")

    async def run_queue(self) -> None:
        """Carry out queued sessions until cancelled."""
        while True:
            session = await self._queue.get()
            failure = None
            try:
                await self._execute(session)
            except LabError as error:
                failure = error.detail
            except SAVE_ERRORS as error:
                failure = f"The rounds could not be saved: {error_reason(error)}."
            except Exception as error:
                failure = report_bug(error, "an experiment")
            for experiment in session.experiments:
                await self._close(session, experiment, failure)

    async def stop(self, experiment: ActiveExperiment) -> None:
        """End an experiment early: at once, unless its current run is still to be stopped."""
        session = experiment.session
        assert session
        experiment.stop_requested = True
        current = experiment.view.current
        is_shared = any(
            each.view.current == current for each in session.experiments if each is not experiment
        )
        if current in self._runs.active and not is_shared:
            self._runs.stop(current)
        else:
            await self._close(session, experiment, None)

    async def _execute(self, session: Session) -> None:
        session.began_s = time.monotonic()
        for experiment in session.experiments:
            if not experiment.closing:
                experiment.view = replace(experiment.view, state=JobState.RUNNING)
        await self._close_complete(session)
        cells = iter(session.cells)
        # As many cells at a time as there are hosts: a cell has too few rounds at its end to keep all busy.
        lanes = [
            asyncio.create_task(self._measure_cells(session, cells)) for _ in range(max(1, self._hosts.count))
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        await self._close_complete(session)

    async def _measure_cells(self, session: Session, cells: Iterator[SessionCell]) -> None:
        """Measure one cell after the other, each the next that nobody measures."""
        for cell in cells:
            await self._measure_cell(session, cell)
            async with session.closing:
                self._calibrate(session, cell)
                await self._close_complete(session)

    def _calibrate(self, session: Session, cell: SessionCell) -> None:
        """Evaluate the A/A pair, once its cell is complete."""
        if not any(experiment.is_calibration for experiment, _ in cell.used_by):
            return
        if session.needs_calibration:
            session.calibration = _calibration(session)

    async def _measure_pairs(self, session: Session, experiment: ActiveExperiment) -> None:
        """Measure the A/A pairs that are missing, with the answer of the experiment in sight.

        A pair takes about 70 s and cannot change the answer, only mark it as noisy. So the first answer does
        not wait for it. A pair that shows a difference is repeated once.
        """
        if not (session.awaits_pair and experiment.needs_calibration):
            return
        await self._show_answer(session, experiment)
        with contextlib.suppress(LabError):  # the answer does not depend on it
            if session.calibration is None and (cell := session.pair_cell):
                await self._measure_cell(session, cell)
                self._calibrate(session, cell)
            if session.must_repeat_pair and session.repeated_calibration:
                await self._measure_cell(session, session.repeated_calibration)
                if session.needs_calibration:  # otherwise it was stopped
                    session.calibration = _calibration(session)

    async def _show_answer(self, session: Session, experiment: ActiveExperiment) -> None:
        """Save and report the answer of an experiment that remains active."""
        await self._gather_facts(experiment)
        await asyncio.to_thread(self._update, session, experiment)
        experiment.view = replace(experiment.view, answered_at=rfc3339_now())
        await asyncio.to_thread(self._store.save, experiment.view)
        self._report(
            experiment, "experiment.round", f"{_name(experiment)} has its answer, before the A/A pair"
        )

    async def _measure_cell(self, session: Session, cell: SessionCell) -> None:
        """Measure what a cell lacks. Whoever else measures it meanwhile is waited for."""
        async with cell.measuring:
            await self._measure_rounds(session, cell)

    async def _measure_rounds(self, session: Session, cell: SessionCell) -> None:
        engines = [entry.model for entry in cell.entries]
        if self._hosts.are_used_for(engines, cell.plan["placement"]):
            await self._hosts.carry_out(CellRounds(self, session, cell), engines)
            return
        while not session.is_stopped:
            session.drop_needless_pairs()
            if (order := cell.schedule.next_order()) is None:
                break
            measured: dict[int, RunView] = {}
            for entry in order:
                if session.is_stopped or not cell.is_needed:
                    break
                measured[entry] = await self._run_trial(session, cell, entry)
            number = len(cell.schedule.ended) + 1
            await asyncio.to_thread(self.record_round, session, cell, OpenRound(number, order), measured)
            self.report_round(cell, number)

    def report_round(self, cell: SessionCell, number: int) -> None:
        """Publish that a round of a cell has ended."""
        for experiment, _ in cell.used_by:
            if not (experiment.closing or experiment.is_calibration):
                self._report(experiment, "experiment.round", f"{_name(experiment)}: round {number} ended")

    async def _run_trial(self, session: Session, cell: SessionCell, index: int) -> RunView:
        began_s = time.monotonic()
        run = await self._runs.submit(trial_request(session, cell, index, len(cell.schedule.ended) + 1))
        for experiment, _ in cell.used_by:
            experiment.view = replace(experiment.view, current=run.id)
        if session.is_stopped:  # since the run was submitted
            self._runs.stop(run.id)
        ended = await self._runs.finished(run.id)
        session.add_trials(1, time.monotonic() - began_s, cell.seconds)
        return ended

    def record_round(
        self,
        session: Session,
        cell: SessionCell,
        round: OpenRound,
        measured: dict[int, RunView],
        host: HostView | None = None,
    ) -> None:
        """Add a round to each experiment of the cell, and save them. Runs in a thread.

        An interrupted round is not added: its trials have no partners. `host`: that measured it; None: this
        machine.
        """
        order = round.order
        if len(measured) < len(order):
            return
        rounds: dict[ActiveExperiment, ExperimentRound] = {}
        for experiment, claim_cell in cell.used_by:
            if experiment.closing:
                continue
            if cell.has_complete_need(experiment, order):
                made = _round(experiment, cell, claim_cell, round.number, measured)
                rounds[experiment] = replace(made, host=host.name if host else None)
                experiment.rounds.append(rounds[experiment])
                if host:
                    hosts = with_round(experiment.view.hosts, host)
                    experiment.view = replace(experiment.view, hosts=hosts)
            if not experiment.is_calibration:
                self._update(session, experiment)
                self._store.save(experiment.view)
        cell.schedule.record(order, cell.void(rounds))

    def _update(self, session: Session, experiment: ActiveExperiment) -> None:
        """Put the rounds so far, and what the check makes of them, into the view."""
        found = experiment.claim.check(experiment.evidence)
        runs = dict.fromkeys(trial.run for each in experiment.rounds for trial in each.trials)
        experiment.view = replace(
            experiment.view,
            rounds=tuple(experiment.rounds),
            ratios=found.results,
            because=found.because,
            answer=found.answer,
            host_notes=noted(experiment.lost_rounds, kind_note(experiment)),
            runs=tuple(runs),
            current=None,
            calibration=session.calibration or experiment.view.calibration,
            trials_total=len(runs) + session.remaining_trials(experiment),
        )

    async def _close_complete(self, session: Session) -> None:
        for experiment in session.experiments:
            if experiment.stop_requested or session.is_measured(experiment):
                if not experiment.is_ended:
                    with contextlib.suppress(LabError):  # the answer does not depend on it
                        await self._trace(session, experiment)
                    experiment.stop_requested = False  # only the trace was stopped: the rounds are complete
                    await self._measure_pairs(session, experiment)
                await self._close(session, experiment, None)

    async def _trace(self, session: Session, experiment: ActiveExperiment) -> None:
        """Run the entries that decide once more with a thread trace, to show why. It is not counted."""
        if (found := experiment.to_trace) is None:
            return
        cell, entries = found
        plan = {**experiment.plans[cell.key].to_json(), "trace": True, "duration_s": TRACED_S}
        for entry in entries:
            key = f"{json.dumps(plan, sort_keys=True)} {entry.identity}"
            if key not in session.traced:
                request = RunRequest(
                    model=entry.model,
                    knobs=entry.knobs,
                    plan=plan,
                    experiment=experiment.view.id,
                    label=f"experiment {experiment.view.id}: {experiment.claim.id}, {entry.name}, traced",
                )
                run = await self._runs.submit(request)
                experiment.view = replace(experiment.view, current=run.id)
                if experiment.stop_requested:  # since the run was submitted
                    self._runs.stop(run.id)
                if (await self._runs.finished(run.id)).state == RunState.FINISHED:
                    session.traced[key] = run.id
            if experiment.stop_requested:
                return
            if key in session.traced:
                traced = {**experiment.view.traced, entry.name: session.traced[key]}
                experiment.view = replace(experiment.view, traced=traced)

    async def _gather_facts(self, experiment: ActiveExperiment) -> None:
        facts = await asyncio.to_thread(experiment.gather_facts)
        experiment.view = replace(experiment.view, facts=facts)

    async def _close(self, session: Session, experiment: ActiveExperiment, failure: str | None) -> None:
        """Answer an experiment, save it, and move it to the history, once."""
        if experiment.closing:
            return
        experiment.closing = True
        if experiment.view.answered_at:  # only an A/A pair was stopped
            experiment.stop_requested = False
            session.calibration = session.calibration or calibrate((), ())
        await self._jobs.save_unsaved()
        try:
            await self._gather_facts(experiment)
            await asyncio.to_thread(self._update, session, experiment)
        except Exception as error:
            failure = failure or report_bug(error, _name(experiment))
        is_complete = not failure and not experiment.stop_requested
        state = JobState.FAILED if failure else JobState.FINISHED
        if experiment.stop_requested:
            state, failure = JobState.STOPPED, None
        ended = replace(
            experiment.view,
            state=state,
            progress=1.0,
            left_s=None,
            answer=experiment.view.answer if is_complete or _is_answer(experiment.view) else None,
            trials_total=len(experiment.view.runs),
            finished_at=rfc3339_now(),
            failure=failure,
        )
        ended = await self._jobs.save_result(
            ended,
            write=lambda: self._store.save(ended),
            failed=lambda reason: replace(ended, state=JobState.FAILED, failure=reason),
        )
        self._jobs.close(experiment, ended)
        word = WORDS[ended.answer] if ended.answer else ended.failure or ended.state
        event = "experiment.answered" if state is JobState.FINISHED else f"experiment.{ended.state}"
        self._report(experiment, event, f"{_name(experiment)} {ended.state}: {word}")

    def _report(self, experiment: ActiveExperiment, event: str, text: str) -> None:
        view = experiment.view
        self._events.publish(Event(event, None, None, view.current, text, None, view.id))


def _calibration(session: Session) -> Calibration:
    """Return what the A/A pairs that were measured so far show."""
    first, repeated = (each.ratios(next(each.claim.ratios)) for each in session.calibrating)
    return replace(calibrate(first, repeated), measured_at=rfc3339_now())


def _is_answer(view: ExperimentView) -> bool:
    """Return whether an experiment that ended early has enough rounds for its answer in every test."""
    decided = (Answer.HOLDS, Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE)
    return bool(view.ratios) and all(
        result.answer in decided and (result.b is None or len(result.ratios) >= ROUNDS)
        for result in view.ratios
    )


def _round(
    experiment: ActiveExperiment,
    cell: SessionCell,
    claim_cell: Cell,
    number: int,
    measured: dict[int, RunView],
) -> ExperimentRound:
    """Return a round as one experiment has it: the trials of its entries, with its figures."""
    names, claim = cell.names(claim_cell), experiment.claim
    trials = tuple(
        ExperimentTrial(
            entry=names[index],
            run=run.id,
            verdict=run.verdict.title if run.verdict else None,
            values=values(claim.figures, run),
            void=void_reasons(claim.figures, run, claim.tolerates),
        )
        for index, run in measured.items()
        if index in names
    )
    return ExperimentRound(claim_cell.key, number, trials)


def _name(experiment: ActiveExperiment) -> str:
    return f"Experiment {experiment.view.id} ({experiment.claim.id})"
