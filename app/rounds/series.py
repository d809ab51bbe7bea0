"""Carries out series of runs: in rounds of random order, so that drift of the machine affects all alike.

A comparison and a tuning are series: of entries, or of values of a knob. Each run has a new engine and a
warm-up. Other runs may execute in between, but never at the same time. Which items a round has:
app/rounds/schedule.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from app.errors import LabError
from app.events import Event, Events
from app.rounds.schedule import RoundSchedule
from app.runs.queue import JobQueue, report_bug
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.schemas.states import JobState
from app.schemas.tuning import TuningView
from app.store.database import SAVE_ERRORS, error_reason
from app.timestamps import rfc3339_now

V = TypeVar("V", ComparisonView, TuningView)


class SeriesItems(Protocol[V]):
    """What a series measures. An item is the index of an entry or value, a round has a number from 1."""

    @property
    def noun(self) -> str:
        """What the series is called, such as "comparison"."""
        ...

    def request(self, view: V, item: int, number: int) -> RunRequest:
        """Return the run of an item in a round."""
        ...

    def trial_name(self, view: V, item: int, number: int) -> str:
        """Return item and round in words."""
        ...

    def add(self, view: V, item: int, number: int, run: RunView) -> V:
        """Return the view with a run that has ended, and with the result so far. Called in a thread."""
        ...

    def save(self, view: V) -> None:
        """Store the view and what belongs to it. Called in a thread."""
        ...

    def to_repeat(self, view: V, order: Sequence[int]) -> Collection[int]:
        """Return the items of the last round whose run is to be repeated."""
        ...

    def summary(self, view: V) -> str:
        """Return the first sentence of the result; empty: there is none."""
        ...

    def event(self, view: V, text: str) -> Event:
        """Return an event of the series."""
        ...


@dataclass(eq=False)
class Series(Generic[V]):
    """A series that is queued or in progress."""

    view: V
    items: SeriesItems[V]
    schedule: RoundSchedule
    run_s: float  # an estimate of the duration of a run, until the first has ended
    stop_requested: bool = False
    closing: bool = False
    ended_in_round: int = 0  # runs of the current round
    began_s: float = 0.0  # CLOCK_MONOTONIC; 0 while queued
    ended_s: float = 0.0  # end of the last run
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """What events call it, such as "Comparison 3"."""
        return f"{self.items.noun.capitalize()} {self.view.id}"

    @property
    def left_s(self) -> float:
        """The remaining time in seconds, estimated from the finished runs, or from the plan."""
        ended = len(self.view.runs)
        each = (self.ended_s - self.began_s) / ended if ended else self.run_s
        since = time.monotonic() - self.ended_s if self.began_s else 0.0
        return max(0.0, self.remaining_runs * each - since)

    @property
    def remaining_runs(self) -> int:
        """The number of runs that are left, if all of them are valid."""
        return max(0, self.schedule.remaining_trials - self.ended_in_round)


class SeriesWorker(Generic[V]):
    """Carries out queued series of one kind, one at a time. Event loop only.

    on_hosts: carries out a series on other hosts, if it can, and returns whether it has; None: all series are
    measured here.
    """

    on_hosts: Callable[[Series[V]], Awaitable[bool]] | None = None

    def __init__(self, runs: Runs, events: Events, jobs: JobQueue[Series[V], V]) -> None:
        self._runs = runs
        self._events = events
        self._jobs: JobQueue[Series[V], V] = jobs
        self._queue: asyncio.Queue[Series[V]] = asyncio.Queue()

    def enqueue(self, series: Series[V]) -> None:
        """Queue a series. It must be among the active ones."""
        self._queue.put_nowait(series)
        self.report(series, f"{series.name} queued")

    async def run_queue(self) -> None:
        """Carry out queued series until cancelled."""
        while True:
            series = await self._queue.get()
            failure = None
            try:
                await self._execute(series)
            except LabError as error:
                failure = error.detail
            except SAVE_ERRORS as error:
                failure = f"The result could not be saved: {error_reason(error)}."
            except Exception as error:
                failure = report_bug(error, f"{series.items.noun} {series.view.id}")
            await self._close(series, failure)

    async def stop(self, series: Series[V]) -> None:
        """End a series early: at once if it is queued, otherwise when its current run has stopped."""
        series.stop_requested = True
        if not series.began_s:
            await self._close(series, None)
        elif series.view.current in self._runs.active:
            self._runs.stop(series.view.current)

    def current_view(self, series: Series[V]) -> V:
        """Return the view of a series with its progress and the time that is left."""
        return replace(series.view, progress=self._progress(series, series.view), left_s=series.left_s)

    def _progress(self, series: Series[V], view: V) -> float:
        """Return the share of runs that have ended, from 0 to 1; the current run counts by its progress."""
        current = self._runs.active.get(view.current or 0)
        ended = len(view.runs)
        share = current.progress().progress if current else 0.0
        return min(1.0, (ended + share) / (ended + series.remaining_runs or 1))

    async def _execute(self, series: Series[V]) -> None:
        series.began_s = series.ended_s = time.monotonic()
        schedule, items = series.schedule, series.items
        if self.on_hosts and await self.on_hosts(series):
            return
        while (order := schedule.next_order()) is not None:
            number = len(schedule.ended) + 1
            for item in order:
                if series.stop_requested:
                    return
                ended = await self._run(series, item, number)
                series.ended_s = time.monotonic()
                series.ended_in_round += 1
                await asyncio.to_thread(self.record, series, item, number, ended)
                self.report(series, f"{series.name}: {items.trial_name(series.view, item, number)} ended")
            void = items.to_repeat(series.view, order)
            schedule.record(order, [void] * len(schedule.needs))
            series.ended_in_round = 0

    async def _run(self, series: Series[V], item: int, number: int) -> RunView:
        view, items = series.view, series.items
        run = await self._runs.submit(items.request(view, item, number))
        series.view = replace(view, state=JobState.RUNNING, current=run.id)
        self.report(series, f"{series.name}: {items.trial_name(view, item, number)}")
        if series.stop_requested:  # since the run was submitted
            self._runs.stop(run.id)
        return await self._runs.finished(run.id)

    def record(self, series: Series[V], item: int, number: int, run: RunView) -> None:
        """Add a run and save the result so far, in case the control plane is killed. Runs in a thread.

        It is shown only after it was saved: what a client has seen is not lost.
        """
        view = series.items.add(series.view, item, number, run)
        view = replace(view, progress=self._progress(series, view))
        series.items.save(view)
        series.view = view

    async def _close(self, series: Series[V], failure: str | None) -> None:
        """Save the result and move the series to the history, once."""
        if series.closing:
            return
        series.closing = True
        await self._jobs.save_unsaved()
        state = JobState.FAILED if failure else JobState.FINISHED
        if series.stop_requested:
            state, failure = JobState.STOPPED, None
        ended = replace(
            series.view,
            state=state,
            progress=1.0,
            current=None,
            finished_at=rfc3339_now(),
            failure=failure,
        )
        ended = await self._jobs.save_result(
            ended,
            write=lambda: series.items.save(ended),
            failed=lambda reason: replace(ended, state=JobState.FAILED, failure=reason),
        )
        self._jobs.close(series, ended)
        summary = ended.failure or series.items.summary(ended) or ended.state
        self.report(series, f"{series.name} {ended.state}: {summary}")

    def report(self, series: Series[V], text: str) -> None:
        """Publish an event of a series."""
        self._events.publish(series.items.event(series.view, text))
