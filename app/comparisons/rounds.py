"""Comparisons: the queue, the one that goes, and the history.

Trials are interleaved, A B C A B C …, so that what drifts in the machine meets every entry alike. Each is a run like
any other, against a fresh engine, with a warm-up of its own; runs of other people may come in between, never at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.comparisons.aggregate import Measured, conclude, counted, measured, merged
from app.comparisons.entries import entries_of, fitting
from app.comparisons.ranking import RULE
from app.errors import Busy, Invalid, LabError, NotNow, Unknown
from app.events import Event, Events
from app.fleet.models import Models
from app.load.protocol.outcome import Outcome
from app.machine import system
from app.moment import now
from app.plans.describe import words
from app.plans.thresholds import parse_all
from app.results.fitness import main_figure
from app.results.summary import curve_of
from app.runs import fault
from app.runs.queue import ID_MAX, Runs
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.schemas.states import ComparisonState
from app.schemas.system import SystemView
from app.store.comparisons import ComparisonStore
from app.store.database import NOT_SAVED, why
from app.store.listing import RunFilter
from app.store.runs import RunStore

QUEUE_MAX = 10
TRIALS_MAX = 10
AROUND_A_RUN_S = (
    1.5  # starting and stopping an engine, until a run of this comparison has told how long that takes
)


@dataclass(eq=False)
class Going:
    """A comparison that is queued or going."""

    view: ComparisonView
    metric: str  # the figure that is compared
    knobs: tuple[Mapping[str, Any], ...]  # of each entry, as they were given
    plan: Mapping[str, Any]  # the fields that were given
    planned_s: float  # of one run, by its plan
    stop_asked: bool = False
    closing: bool = False
    trials: list[Measured] = field(default_factory=list)
    began_s: float = 0.0  # monotonic; 0 while it waits
    ended_s: float = 0.0  # when its last trial ended
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def left_s(self) -> float:
        """About how long it still takes, by the trials that it has had, or by its plan."""
        ended = len(self.trials)
        each = (self.ended_s - self.began_s) / ended if ended else self.planned_s + AROUND_A_RUN_S
        since = time.monotonic() - self.ended_s if self.began_s else 0.0
        return max(0.0, (self.view.runs_total - ended) * each - since)


class Comparisons:
    """One comparison at a time; the others wait. Event loop of the main thread only."""

    def __init__(
        self,
        models: Models,
        runs: Runs,
        kept_runs: RunStore,
        store: ComparisonStore,
        system: SystemView,
        events: Events,
    ) -> None:
        self.active: dict[int, Going] = {}  # queued and going; the others are in the store
        self._unsaved: dict[int, ComparisonView] = {}  # ended, and the store could not take it
        self._coming = 0  # have their place in the queue, and are being saved
        self._models = models
        self._runs = runs
        self._kept_runs = kept_runs
        self._store = store
        self._system = system
        self._events = events
        self._queue: asyncio.Queue[Going] = asyncio.Queue()

    async def submit(
        self,
        *,
        models: Sequence[str | Mapping[str, Any]],
        view: str | None = None,
        scenario: str | None = None,
        plan: Mapping[str, Any] | None = None,
        trials: int = 1,
        thresholds: Sequence[str] = (),
        label: str | None = None,
    ) -> ComparisonView:
        """Queue a comparison. Raises LabError, and then nothing is queued."""
        if not 1 <= trials <= TRIALS_MAX:
            raise Invalid.field("/trials", f"Trials are from 1 to {TRIALS_MAX} of each.")
        view, scenario, given = fitting(view, scenario, plan or {})
        named, checked = self._runs.orders.planned(scenario, given)
        entries, knobs = entries_of(self._models, models)
        for entry, given_knobs in zip(entries, knobs, strict=True):
            self._runs.orders.target(None, entry.model, dict(given_knobs), checked)
        parse_all(thresholds)
        if len(self.active) + self._coming >= QUEUE_MAX:
            raise Busy(f"{QUEUE_MAX} comparisons are waiting already.")
        new = ComparisonView(
            id=0,
            state=ComparisonState.QUEUED,
            progress=0.0,
            left_s=None,
            label=label,
            view=view,
            title=named.title if named else "By hand",
            scenario=scenario,
            entries=entries,
            trials=trials,
            plan=checked.to_json(),
            plan_text=words(checked),
            thresholds=tuple(thresholds),
            environment=system.environment(self._system),
            runs=(),
            current=None,
            result=None,
            failure=None,
            created_at=now(),
            finished_at=None,
            rule=RULE,
        )
        self._coming += 1
        try:
            new = await asyncio.to_thread(self._store.add, new)
        except NOT_SAVED as error:
            raise LabError(f"Nothing was queued, for it could not be saved: {why(error)}.") from error
        finally:
            self._coming -= 1
        going = self.active[new.id] = Going(new, main_figure(named, checked), knobs, given, checked.total_s)
        self._queue.put_nowait(going)
        self._changed(going, f"Comparison {new.id} is queued")
        return self.get(new.id)

    def get(self, id: int) -> ComparisonView:
        """Any comparison, going or kept."""
        if going := self.active.get(id):
            return replace(going.view, progress=self._progress(going), left_s=going.left_s)
        view = self._unsaved.get(id) or (self._store.get(id) if 0 < id <= ID_MAX else None)
        if view is None:
            raise Unknown(f"There is no comparison {id}.")
        return view

    async def history(self, limit: int, offset: int = 0) -> list[ComparisonView]:
        """Newest first; those that are queued or going as they are now."""
        kept = await asyncio.to_thread(self._store.newest, limit, offset)
        return [self._as_now(view) for view in kept]

    def _as_now(self, read: ComparisonView) -> ComparisonView:
        """A row that a thread has read, as the comparison is now; as for runs."""
        if read.id not in self.active and not read.state.is_unfinished:
            return read
        with contextlib.suppress(Unknown):
            return self.get(read.id)
        return read

    def count(self) -> int:
        return self._store.count()

    def percentiles(self, id: int) -> dict[str, Any]:
        """Latency by percentile of each entry, from the merged histograms of its trials; None where there is none."""
        view = self.get(id)
        return self._store.curves(id) or {"entries": [None] * len(view.entries)}

    async def finished(self, id: int) -> ComparisonView:
        """Wait for a comparison's end."""
        if going := self.active.get(id):
            await going.done.wait()
        return self.get(id)

    async def stop(self, id: int) -> ComparisonView:
        """End it early; trials that have ended are kept, and the one that goes is stopped. One that waits ends now."""
        view = self.get(id)
        if id not in self.active:
            self._require_ours(id)
            raise NotNow(f"Comparison {id} is {view.state} already.")
        going = self.active[id]
        going.stop_asked = True
        if not going.began_s:
            await self._close(going, None)
        elif going.view.current in self._runs.active:
            self._runs.stop(going.view.current)
        return self.get(id)

    def stop_all(self) -> None:
        """End what goes and take out what waits."""
        for going in self.active.values():
            going.stop_asked = True

    async def delete(self, id: int, with_runs: bool = False) -> None:
        """Remove it from the history. Its runs stay, as runs of nobody, or go with it."""
        self.get(id)
        if id in self.active:
            raise NotNow(f"Comparison {id} is still {self.active[id].view.state}; stop it first.")
        self._require_ours(id)
        await asyncio.to_thread(self._delete, id, with_runs)
        self._unsaved.pop(id, None)

    def _require_ours(self, id: int) -> None:
        if (pid := self._store.owner(id)) is not None:
            raise NotNow(f"Comparison {id} is carried out by another process (pid {pid}); stop it there.")

    def _delete(self, id: int, with_runs: bool) -> None:
        """Its trials are asked for by its number: it does not name one that a killed control plane has left."""
        for run in self._kept_runs.ids(RunFilter(comparison=id)):
            if with_runs:
                self._kept_runs.delete(run)
            elif kept := self._kept_runs.get(run):
                self._kept_runs.save(replace(kept, comparison=None))
        self._store.delete(id)

    async def work_off(self) -> None:
        while True:
            going = await self._queue.get()
            failure = None
            try:
                await self._carry_out(going)
            except LabError as error:
                failure = error.detail
            except NOT_SAVED as error:
                failure = f"The history could not take it: {why(error)}."
            except Exception as error:
                failure = fault.report(error, f"comparison {going.view.id}")
            await self._close(going, failure)

    async def _carry_out(self, going: Going) -> None:
        going.began_s = going.ended_s = time.monotonic()
        for trial in range(1, going.view.trials + 1):
            for entry in range(len(going.view.entries)):
                if going.stop_asked:
                    return
                ended = await self._run(going, entry, trial)
                going.ended_s = time.monotonic()
                await asyncio.to_thread(self._take, going, entry, trial, ended)
                name = going.view.entries[entry].name
                self._changed(
                    going, f"Comparison {going.view.id}: {name}, trial {trial} of {going.view.trials} ended"
                )

    async def _run(self, going: Going, entry: int, trial: int) -> RunView:
        view = going.view
        which = view.entries[entry]
        run = await self._runs.submit(
            model=which.model,
            knobs=going.knobs[entry],
            scenario=view.scenario,
            plan=going.plan,
            thresholds=view.thresholds,
            comparison=view.id,
            label=f"comparison {view.id}: {which.letter}, trial {trial} of {view.trials}",
        )
        going.view = replace(view, state=ComparisonState.RUNNING, current=run.id)
        self._changed(going, f"Comparison {view.id}: {which.name}, trial {trial} of {view.trials}")
        if going.stop_asked:  # while it was being queued
            self._runs.stop(run.id)
        return await self._runs.finished(run.id)

    def _take(self, going: Going, entry: int, trial: int, run: RunView) -> None:
        """A trial has ended: what it changes is kept at once, for a control plane may be killed."""
        kept = self._kept_runs.outcome(run.id)
        outcome = Outcome.from_json(kept) if kept else None
        going.trials.append(measured(going.metric, entry, trial, run, outcome))
        result = conclude(going.metric, going.view.entries, going.trials)
        runs = tuple(each.trial for each in going.trials)
        going.view = replace(going.view, runs=runs, result=result, progress=self._progress(going))
        self._store.save(going.view, {"entries": [_curve(going, i) for i in range(len(going.view.entries))]})

    def _progress(self, going: Going) -> float:
        current = self._runs.active.get(going.view.current or 0)
        return (len(going.trials) + (current.progress().progress if current else 0.0)) / going.view.runs_total

    async def _close(self, going: Going, failure: str | None) -> None:
        """Save it and let it go, once. As for runs, what cannot be saved is told, and costs nothing else."""
        if going.closing:
            return
        going.closing = True
        await self.save_unsaved()
        state = ComparisonState.FAILED if failure else ComparisonState.FINISHED
        if going.stop_asked:
            state = ComparisonState.STOPPED
        ended = replace(
            going.view,
            state=state,
            progress=1.0,
            current=None,
            finished_at=now(),
            failure=failure if state == ComparisonState.FAILED else None,
        )
        try:
            await asyncio.to_thread(self._store.save, ended)
        except NOT_SAVED as error:
            failure = f"The result could not be saved: {why(error)}."
            ended = self._unsaved[ended.id] = replace(ended, state=ComparisonState.FAILED, failure=failure)
        going.view = ended  # in one step with the next line, as for runs
        del self.active[ended.id]
        going.done.set()
        said = ended.failure or (ended.result.said[0] if ended.result and ended.result.said else ended.state)
        self._changed(going, f"Comparison {ended.id} {ended.state}: {said}")

    async def save_unsaved(self) -> None:
        """Those that the store could not take: it may have room now."""
        with contextlib.suppress(*NOT_SAVED):
            for view in tuple(self._unsaved.values()):
                await asyncio.to_thread(self._store.save, view)
                self._unsaved.pop(view.id, None)

    def _changed(self, going: Going, text: str) -> None:
        view = going.view
        self._events.tell(Event(f"comparison.{view.state}", None, None, view.current, text, view.id))


def _curve(going: Going, entry: int) -> dict[str, Any] | None:
    count = counted(going.trials, entry)
    return curve_of(*merged(count)) if count else None
