"""Carries out tunings in rounds of random order, so that drift of the machine affects all values alike.

Each trial is a run like any other: a capacity search on a new engine. Other runs may execute in between, but
never at the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import LabError
from app.events import Event, Events
from app.results.fitness import invalid_reason
from app.rounds.schedule import RoundSchedule
from app.runs.queue import JobQueue, report_bug
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.run import RunView
from app.schemas.states import JobState
from app.schemas.tuning import TuningView
from app.store.database import SAVE_ERRORS, error_reason
from app.store.tunings import TuningStore
from app.timestamps import rfc3339_now
from app.tunings.answer import FIGURE, tuning_trial
from app.tunings.request import TunedKnob
from app.tunings.result import compute_result
from app.tunings.values import value_name

# An estimate until the first run has ended: the trials of a search with its probe, and what a trial and a run
# need besides. Measured: 12 trials in 54 s, of which those at low rates took longer than planned.
SEARCH_TRIALS, TRIAL_OVERHEAD_S, RUN_OVERHEAD_S = 12, 1.0, 1.5


@dataclass(eq=False)
class ActiveTuning:
    """A tuning that is queued or in progress."""

    view: TuningView
    knob: TunedKnob
    plan: Mapping[str, Any]  # the fields that are given to each run
    planned_s: float  # duration of one trial of a search by its plan
    schedule: RoundSchedule
    stop_requested: bool = False
    closing: bool = False
    ended_in_round: int = 0  # runs of the current round
    began_s: float = 0.0  # CLOCK_MONOTONIC; 0 while queued
    ended_s: float = 0.0  # end of the last run
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def left_s(self) -> float:
        """The remaining time in seconds, estimated from the finished runs, or from the plan."""
        ended = len(self.view.runs)
        planned_s = SEARCH_TRIALS * (self.planned_s + TRIAL_OVERHEAD_S) + RUN_OVERHEAD_S
        each = (self.ended_s - self.began_s) / ended if ended else planned_s
        since = time.monotonic() - self.ended_s if self.began_s else 0.0
        return max(0.0, self.remaining_runs * each - since)

    @property
    def remaining_runs(self) -> int:
        return max(0, self.schedule.remaining_trials - self.ended_in_round)

    def start_rate(self, value: int) -> float | None:
        """Return the rate of the last round's result of a value, at which its next search begins."""
        rates = [trial.rate_per_s for trial in self.view.runs if trial.value == value and trial.rate_per_s]
        return rates[-1] if rates else None


class TuningWorker:
    """Carries out queued tunings, one at a time. Event loop only."""

    def __init__(
        self, runs: Runs, store: TuningStore, events: Events, jobs: JobQueue[ActiveTuning, TuningView]
    ) -> None:
        self._runs = runs
        self._store = store
        self._events = events
        self._jobs = jobs
        self._queue: asyncio.Queue[ActiveTuning] = asyncio.Queue()

    def enqueue(self, tuning: ActiveTuning) -> None:
        """Queue a tuning. It must be among the active ones."""
        self._queue.put_nowait(tuning)
        self._report(tuning, f"Tuning {tuning.view.id} queued")

    async def run_queue(self) -> None:
        """Carry out queued tunings until cancelled."""
        while True:
            tuning = await self._queue.get()
            failure = None
            try:
                await self._execute(tuning)
            except LabError as error:
                failure = error.detail
            except SAVE_ERRORS as error:
                failure = f"The result could not be saved: {error_reason(error)}."
            except Exception as error:
                failure = report_bug(error, f"tuning {tuning.view.id}")
            await self._close(tuning, failure)

    async def stop(self, tuning: ActiveTuning) -> None:
        """End a tuning early: at once if it is queued, otherwise when its current run has stopped."""
        tuning.stop_requested = True
        if not tuning.began_s:
            await self._close(tuning, None)
        elif tuning.view.current in self._runs.active:
            self._runs.stop(tuning.view.current)

    def progress(self, tuning: ActiveTuning) -> float:
        """Return the share of runs that have ended, from 0 to 1; the current run counts by its progress."""
        current = self._runs.active.get(tuning.view.current or 0)
        ended = len(tuning.view.runs)
        share = current.progress().progress if current else 0.0
        return min(1.0, (ended + share) / (ended + tuning.remaining_runs or 1))

    async def _execute(self, tuning: ActiveTuning) -> None:
        tuning.began_s = tuning.ended_s = time.monotonic()
        schedule = tuning.schedule
        while (order := schedule.next_order()) is not None:
            number = len(schedule.ended) + 1
            for value in order:
                if tuning.stop_requested:
                    return
                ended = await self._run(tuning, value, number)
                tuning.ended_s = time.monotonic()
                tuning.ended_in_round += 1
                await asyncio.to_thread(self._record, tuning, value, number, ended)
                self._report(tuning, f"{_trial_name(tuning.view, value, number)} ended")
            schedule.record(order, [()] * len(schedule.needs))  # void runs are not repeated
            tuning.ended_in_round = 0

    async def _run(self, tuning: ActiveTuning, value: int, number: int) -> RunView:
        view, rate = tuning.view, tuning.start_rate(value)
        run = await self._runs.submit(
            RunRequest(
                model=view.model,
                knobs={**view.knobs, view.knob: view.values[value]},
                scenario=view.scenario,
                plan={**tuning.plan, "rate_per_s": rate} if rate else tuning.plan,
                tuning=view.id,
                label=f"tuning {view.id}: {_value(view, value)}, round {number} of {view.rounds}",
            )
        )
        tuning.view = replace(view, state=JobState.RUNNING, current=run.id)
        self._report(tuning, _trial_name(view, value, number))
        if tuning.stop_requested:  # since the run was submitted
            self._runs.stop(run.id)
        return await self._runs.finished(run.id)

    def _record(self, tuning: ActiveTuning, value: int, number: int, run: RunView) -> None:
        """Add a run and save the result so far, in case the control plane is killed. Runs in a thread.

        It is shown only after it was saved: what a client has seen is not lost.
        """
        void = invalid_reason(run.verdict, FIGURE) if run.verdict else run.failure
        view = replace(tuning.view, runs=(*tuning.view.runs, tuning_trial(value, number, run, void)))
        result = compute_result(view, tuning.knob.bounds, tuning.knob.knobs)
        view = replace(view, result=result, progress=self.progress(tuning))
        self._store.save(view)
        tuning.view = view

    async def _close(self, tuning: ActiveTuning, failure: str | None) -> None:
        """Save the result and move the tuning to the history, once."""
        if tuning.closing:
            return
        tuning.closing = True
        await self._jobs.save_unsaved()
        state = JobState.FAILED if failure else JobState.FINISHED
        if tuning.stop_requested:
            state, failure = JobState.STOPPED, None
        ended = replace(
            tuning.view,
            state=state,
            progress=1.0,
            current=None,
            finished_at=rfc3339_now(),
            failure=failure,
        )
        ended = await self._jobs.save_result(
            ended,
            write=lambda: self._store.save(ended),
            failed=lambda reason: replace(ended, state=JobState.FAILED, failure=reason),
        )
        self._jobs.close(tuning, ended)
        summary = ended.result.sentences[0] if ended.result else ended.state
        self._report(tuning, f"Tuning {ended.id} {ended.state}: {ended.failure or summary}")

    def _report(self, tuning: ActiveTuning, text: str) -> None:
        view = tuning.view
        self._events.publish(Event(f"tuning.{view.state}", None, None, view.current, text, tuning=view.id))


def _value(view: TuningView, value: int) -> str:
    return value_name(view.knob, view.unit, view.values[value])


def _trial_name(view: TuningView, value: int, number: int) -> str:
    return f"Tuning {view.id}: {_value(view, value)}, round {number} of {view.rounds}"
