"""Carries out comparisons in rounds of random order, so that drift of the machine affects all entries alike.

Each trial is a run like any other, with a new engine and a warm-up. Other runs may execute in between, but
never at the same time. Which entries a round has: app/rounds/schedule.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.comparisons.aggregate import (
    MeasuredTrial,
    compute_result,
    measured_trial,
    merged_histograms,
    usable_trials,
)
from app.errors import LabError
from app.events import Event, Events
from app.load.protocol.outcome import Outcome
from app.results.summary import percentile_curve
from app.rounds.schedule import RoundSchedule
from app.runs.queue import JobQueue, report_bug
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.schemas.states import JobState
from app.store.comparisons import ComparisonStore
from app.store.database import SAVE_ERRORS, error_reason
from app.store.runs import RunStore
from app.timestamps import rfc3339_now

OVERHEAD_S = 1.5  # to start and stop an engine; an estimate until the first trial has ended


@dataclass(eq=False)
class ActiveComparison:
    """A comparison that is queued or in progress."""

    view: ComparisonView
    figure: str  # name of the compared figure
    knobs: tuple[Mapping[str, Any], ...]  # of each entry, as given
    plan: Mapping[str, Any]  # the fields that were given
    planned_s: float  # duration of one run by its plan
    schedule: RoundSchedule
    stop_requested: bool = False
    closing: bool = False
    trials: list[MeasuredTrial] = field(default_factory=list)
    ended_in_round: int = 0  # trials of the current round
    began_s: float = 0.0  # CLOCK_MONOTONIC; 0 while queued
    ended_s: float = 0.0  # end of the last trial
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def left_s(self) -> float:
        """The remaining time in seconds, estimated from the finished trials, or from the plan."""
        ended = len(self.trials)
        each = (self.ended_s - self.began_s) / ended if ended else self.planned_s + OVERHEAD_S
        since = time.monotonic() - self.ended_s if self.began_s else 0.0
        return max(0.0, self.remaining_trials * each - since)

    @property
    def remaining_trials(self) -> int:
        """The number of trials that are left, if all of them are valid."""
        return max(0, self.schedule.remaining_trials - self.ended_in_round)


class ComparisonWorker:
    """Carries out queued comparisons, one at a time. Event loop only."""

    def __init__(
        self,
        runs: Runs,
        run_store: RunStore,
        store: ComparisonStore,
        events: Events,
        jobs: JobQueue[ActiveComparison, ComparisonView],
    ) -> None:
        self._runs = runs
        self._run_store = run_store
        self._store = store
        self._events = events
        self._jobs = jobs
        self._queue: asyncio.Queue[ActiveComparison] = asyncio.Queue()

    def enqueue(self, comparison: ActiveComparison) -> None:
        """Queue a comparison. It must be among the active ones."""
        self._queue.put_nowait(comparison)
        self._report(comparison, f"Comparison {comparison.view.id} queued")

    async def run_queue(self) -> None:
        """Carry out queued comparisons until cancelled."""
        while True:
            comparison = await self._queue.get()
            failure = None
            try:
                await self._execute(comparison)
            except LabError as error:
                failure = error.detail
            except SAVE_ERRORS as error:
                failure = f"The result could not be saved: {error_reason(error)}."
            except Exception as error:
                failure = report_bug(error, f"comparison {comparison.view.id}")
            await self._close(comparison, failure)

    async def stop(self, comparison: ActiveComparison) -> None:
        """End a comparison early: at once if it is queued, otherwise when its current run has stopped."""
        comparison.stop_requested = True
        if not comparison.began_s:
            await self._close(comparison, None)
        elif comparison.view.current in self._runs.active:
            self._runs.stop(comparison.view.current)

    def progress(self, comparison: ActiveComparison) -> float:
        """Return the share of runs that have ended, from 0 to 1; the current run counts by its progress."""
        current = self._runs.active.get(comparison.view.current or 0)
        ended = len(comparison.trials)
        share = current.progress().progress if current else 0.0
        return min(1.0, (ended + share) / (ended + comparison.remaining_trials or 1))

    async def _execute(self, comparison: ActiveComparison) -> None:
        comparison.began_s = comparison.ended_s = time.monotonic()
        schedule = comparison.schedule
        while (order := schedule.next_order()) is not None:
            number = len(schedule.ended) + 1
            for entry in order:
                if comparison.stop_requested:
                    return
                ended = await self._run(comparison, entry, number)
                comparison.ended_s = time.monotonic()
                await asyncio.to_thread(self._record, comparison, entry, number, ended)
                comparison.ended_in_round += 1
                self._report(comparison, f"{_trial_name(comparison.view, entry, number)} ended")
            void = {each.trial.entry for each in comparison.trials[-len(order) :] if each.trial.why_not}
            schedule.record(order, [void] * len(schedule.needs))
            comparison.ended_in_round = 0

    async def _run(self, comparison: ActiveComparison, entry: int, trial: int) -> RunView:
        view = comparison.view
        compared = view.entries[entry]
        run = await self._runs.submit(
            RunRequest(
                model=compared.model,
                knobs=comparison.knobs[entry],
                scenario=view.scenario,
                plan=comparison.plan,
                thresholds=view.thresholds,
                comparison=view.id,
                label=f"comparison {view.id}: {compared.letter}, {view.round_text(trial)}",
            )
        )
        comparison.view = replace(view, state=JobState.RUNNING, current=run.id)
        self._report(comparison, _trial_name(view, entry, trial))
        if comparison.stop_requested:  # since the run was submitted
            self._runs.stop(run.id)
        return await self._runs.finished(run.id)

    def _record(self, comparison: ActiveComparison, entry: int, trial: int, run: RunView) -> None:
        """Add a trial and save the result so far, in case the control plane is killed. Runs in a thread."""
        stored = self._run_store.outcome(run.id)
        outcome = Outcome.from_json(stored) if stored else None
        comparison.trials.append(measured_trial(comparison.figure, entry, trial, run, outcome))
        entries = comparison.view.entries
        result = compute_result(comparison.figure, entries, comparison.trials)
        runs = tuple(each.trial for each in comparison.trials)
        comparison.view = replace(
            comparison.view, runs=runs, result=result, progress=self.progress(comparison)
        )
        curves = {"entries": [_curve(comparison, i) for i in range(len(entries))]}
        self._store.save_result(comparison.view, curves)

    async def _close(self, comparison: ActiveComparison, failure: str | None) -> None:
        """Save the result and move the comparison to the history, once."""
        if comparison.closing:
            return
        comparison.closing = True
        await self._jobs.save_unsaved()
        state = JobState.FAILED if failure else JobState.FINISHED
        if comparison.stop_requested:
            state, failure = JobState.STOPPED, None
        ended = replace(
            comparison.view,
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
        self._jobs.close(comparison, ended)
        summary = ended.result.said[0] if ended.result and ended.result.said else ended.state
        self._report(comparison, f"Comparison {ended.id} {ended.state}: {ended.failure or summary}")

    def _report(self, comparison: ActiveComparison, text: str) -> None:
        view = comparison.view
        self._events.publish(Event(f"comparison.{view.state}", None, None, view.current, text, view.id))


def _trial_name(view: ComparisonView, entry: int, trial: int) -> str:
    return f"Comparison {view.id}: {view.entries[entry].name}, {view.round_text(trial)}"


def _curve(comparison: ActiveComparison, entry: int) -> dict[str, Any] | None:
    trials = usable_trials(comparison.trials, entry)
    return percentile_curve(*merged_histograms(trials)) if trials else None
