"""Runs: the queue, the one that goes, and the history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from app.errors import Busy, Invalid, LabError, NotNow, StartFailed, Unknown
from app.events import Event, Events
from app.fleet.engine import Engine
from app.fleet.fleet import Fleet
from app.fleet.models import Models
from app.load.protocol.outcome import Outcome
from app.machine import system
from app.machine.cpu_placement import NORMAL, place, usable_cpus
from app.machine.machine_lock import run_turn
from app.moment import now
from app.results.summary import curve, interval_log
from app.runs import fault
from app.runs.capacity import Limits
from app.runs.generator import NoOutcome
from app.runs.hot_swap import Relay
from app.runs.progress import Progress
from app.runs.request import Order, Orders, Target
from app.runs.run import Run, Told, no_verdict
from app.schemas.run import RunView
from app.schemas.states import RunState
from app.schemas.system import SystemView
from app.settings import Settings
from app.store.database import NOT_SAVED, why
from app.store.runs import RunStore
from app.trace.recording import Recording

QUEUE_MAX = 50
BESIDE_MAX = 5
NOTHING_MEASURED = "It was stopped before anything was measured."
ID_MAX = 2**63 - 1  # what SQLite can hold


Job = tuple[Run, Target]


def _given_up(jobs: Sequence[Job]) -> bool:
    return all(run.stop_asked for run, _ in jobs)


class Runs:
    """One run at a time; the others wait. Event loop of the main thread only."""

    def __init__(
        self,
        settings: Settings,
        models: Models,
        fleet: Fleet,
        store: RunStore,
        system: SystemView,
        events: Events,
    ) -> None:
        self.active: dict[int, Run] = {}  # queued and going; the others are in the store
        self._unsaved: dict[int, RunView] = {}  # ended, and the store could not take it
        self._coming = 0  # have their place in the queue, and are being saved
        self._savings: set[asyncio.Task[None]] = set()
        self.orders = Orders(settings, models, fleet, system)
        self._settings = settings
        self._fleet = fleet
        self._store = store
        self._system = system
        self._events = events
        self._queue: asyncio.Queue[list[Job]] = asyncio.Queue()  # those of one list go at once

    async def submit(self, *, comparison: int | None = None, **asked: Any) -> RunView:
        """Queue a run; `asked` is what `Orders.take` takes. Raises LabError; nothing is queued then."""
        return (await self._queue_up([self.orders.take(**asked)], comparison))[0]

    async def submit_beside(self, engines: Sequence[str], **asked: Any) -> list[RunView]:
        """Queue a run for each of several engines, to go at once. They share the machine, so none is ever ranked."""
        if not 2 <= len(set(engines)) == len(engines) <= BESIDE_MAX:
            raise Invalid.field("/engines", f"Name 2 to {BESIDE_MAX} engines that run, each once.")
        orders = [self.orders.take(engine=each, **asked) for each in engines]
        if orders[0].plan.executor == "find-capacity":
            raise Invalid.field("/plan/executor", "A search for capacity needs the machine for itself.")
        return await self._queue_up(orders)

    async def _queue_up(self, orders: Sequence[Order], comparison: int | None = None) -> list[RunView]:
        """Keep and queue them, to go at once. A trial always has a place: comparisons have a queue of their own."""
        queued = sum(run.view.comparison is None for run in self.active.values())
        if comparison is None and queued + self._coming + len(orders) > QUEUE_MAX:
            raise Busy(f"{QUEUE_MAX} runs are waiting already.")
        coming = 0 if comparison else len(orders)
        self._coming += coming
        try:
            new = [replace(each.view, comparison=comparison) for each in orders]
            views = await asyncio.to_thread(self._store.add_all, new)
        except NOT_SAVED as error:
            raise LabError(f"Nothing was queued, for it could not be saved: {why(error)}.") from error
        finally:
            self._coming -= coming
        jobs = []
        for view, order in zip(views, orders, strict=True):
            view = replace(view, beside=tuple(other.id for other in views if other is not view))
            run = self.active[view.id] = Run(view, order.plan, order.thresholds)
            jobs.append((run, order.target))
        self._queue.put_nowait(jobs)
        for run, _ in jobs:
            self._changed(run, f"Run {run.view.id} is queued")
        return [run.view for run, _ in jobs]

    def get(self, id: int) -> RunView:
        """Any run, going or kept."""
        if run := self.active.get(id):
            return replace(run.view, progress=run.progress().progress)
        view = self._unsaved.get(id) or (self._store.get(id) if 0 < id <= ID_MAX else None)
        if view is None:
            raise Unknown(f"There is no run {id}.")
        return view

    async def history(self, limit: int, offset: int = 0) -> list[RunView]:
        """Newest first; those that are queued or going as they are now."""
        kept = await asyncio.to_thread(self._store.newest, limit, offset)
        return [self.as_now(view) for view in kept]

    def as_now(self, read: RunView) -> RunView:
        """A row that a thread has read, as the run is now: one that was going then may have ended meanwhile."""
        if read.id not in self.active and not read.state.is_unfinished:
            return read
        with contextlib.suppress(Unknown):  # it may be deleted by now
            return self.get(read.id)
        return read

    async def relabel(self, id: int, label: str | None) -> RunView:
        """Give a run another label, or none."""
        if run := self.active.get(id):
            async with run.saving:
                run.view = replace(run.view, label=label)
                await asyncio.to_thread(self._store.save, run.view)
                return run.view
        view = replace(self.get(id), label=label)
        self.require_ours(id)
        await asyncio.to_thread(self._store.save, view)
        self._unsaved.pop(id, None)
        return view

    def stop(self, id: int) -> RunView:
        view = self.get(id)
        if id not in self.active:
            self.require_ours(id)
            raise NotNow(f"Run {id} is {view.state} already.")
        self.active[id].stop()
        return view

    def require_ours(self, id: int) -> None:
        """Raise NotNow where another process on the same data directory is at this run."""
        if (pid := self._store.owner(id)) is not None:
            raise NotNow(f"Run {id} is carried out by another process (pid {pid}); stop it there.")

    def stop_all(self) -> None:
        """End what goes and take out what waits."""
        for run in self.active.values():
            run.stop()

    async def delete(self, ids: Sequence[int]) -> None:
        """All of them, or none where one is unknown or still going. Each takes 1.4 ms and more."""
        for id in ids:
            self.get(id)
            if id in self.active:
                raise NotNow(f"Run {id} is still {self.active[id].view.state}; stop it first.")
            self.require_ours(id)
            await asyncio.sleep(0)  # a hundred of these would hold the loop for 40 ms
        for id in ids:
            await asyncio.to_thread(self._store.delete, id)
            self._unsaved.pop(id, None)

    def current(self) -> Run | None:
        """The run that is going now."""
        return next((run for run in self.active.values() if run.view.state.is_in_progress), None)

    def progress(self) -> Progress | None:
        run = self.current()
        return run.progress() if run else None

    def progresses(self) -> list[Progress]:
        """Of all runs that are going: several, where they were asked to go beside each other."""
        return [run.progress() for run in self.active.values() if run.view.state.is_in_progress]

    async def finished(self, id: int) -> RunView:
        """Wait for a run's end."""
        if id in self.active:
            await self.active[id].done.wait()
        return self.get(id)

    def series(self, id: int) -> dict[str, Any]:
        self.get(id)
        return self._store.series(id) or {"columns": [], "rows": []}

    def recording(self, id: int) -> Recording | None:
        """Return what a run's threads did; None if it was not traced, or the file is of another run."""
        packed, started_ns = self._store.trace(id), self.series(id).get("started_ns")
        recording = Recording.unpack(packed) if packed else None
        return recording if recording and started_ns and recording.has_seen(started_ns) else None

    def histogram(self, id: int) -> str:
        return interval_log(self._outcome(id))

    def percentiles(self, id: int) -> dict[str, Any]:
        return curve(self._outcome(id))

    def _outcome(self, id: int) -> Outcome:
        view = self.get(id)
        kept = self._store.outcome(id)
        if kept is None:
            raise NotNow(f"Run {id} is {view.state} and has no histogram.")
        return Outcome.from_json(kept)

    async def work_off(self) -> None:
        while True:
            jobs = await self._queue.get()
            try:
                async with run_turn(self._settings.data_dir, partial(_given_up, jobs)):
                    await asyncio.gather(*(self._see_through(run, target) for run, target in jobs))
            except OSError as error:  # of the turn; those of a run stay with it
                await asyncio.gather(*(self._fail(run, why(error)) for run, _ in jobs))

    async def _see_through(self, run: Run, target: Target) -> None:
        """To its end, whatever that is."""
        try:
            if not run.stop_asked:
                await self._carry_out(run, target)
        except (LabError, NoOutcome, OSError) as error:
            await self._fail(run, error.detail if isinstance(error, LabError) else str(error))
        except Exception as error:
            await self._fail(run, fault.report(error, f"run {run.view.id}"))
        else:
            await self._close_run(run, RunState.STOPPED if run.stop_asked else RunState.FINISHED)

    async def _fail(self, run: Run, reason: str) -> None:
        if not run.stop_asked:
            run.view = replace(run.view, failure=reason, verdict=no_verdict(reason))
        await self._close_run(run, RunState.STOPPED if run.stop_asked else RunState.FAILED)

    async def _carry_out(self, run: Run, target: Target) -> None:
        # Runs beside each other share a CPU for their load, and one that never sleeps would keep it from the other.
        priority = self._system.load_priority if run.plan.is_open and not run.view.beside else NORMAL
        placement = place(run.plan.placement, usable_cpus(), run.plan.shards, priority)
        run.view = replace(run.view, state=RunState.WARMING, placement=placement.to_json())
        await self._save_state(run)
        self._changed(run, f"Run {run.view.id} starts")
        own = target.engine is None
        id, cpus = target.engine or "", placement.engine_cpus
        if own:
            shared = bool(target.followers)
            id = (await self._fleet.start(target.model, target.knobs, cpus=cpus, shared=shared)).id
        engine = self._fleet.engine(id)
        try:
            if not engine.alive:
                raise StartFailed(f"{id} is gone.")
            run.view = replace(run.view, engine=id, environment=self._environment(engine))
            self._changed(run, f"Run {run.view.id} warms {id} up")
            others = len(self._fleet.alive) - 1
            limits = Limits(self._settings.max_rate, self._settings.max_duration_s)
            told = Told(lambda: self._measuring(run), lambda said: self._stepped(run, said))
            await run.measure(
                engine, placement, others, limits, Relay(self._fleet, target.followers, cpus), told
            )
        finally:
            if own:
                await self._fleet.stop_on(engine.port)

    def _measuring(self, run: Run) -> None:
        if run.view.state == RunState.RUNNING:
            return  # a later trial of a search
        if run.recording:
            run.recording.measuring()
        run.view = replace(run.view, state=RunState.RUNNING)
        saving = asyncio.create_task(self._save_state(run))
        self._savings.add(saving)
        saving.add_done_callback(self._savings.discard)
        self._changed(run, f"Run {run.view.id} measures {run.view.engine}")

    async def _save_state(self, run: Run) -> None:
        """For other processes on the same data: they see what is going on. What cannot be saved is told at the end."""
        async with run.saving:
            if run.view.id in self.active:
                with contextlib.suppress(*NOT_SAVED):
                    await asyncio.to_thread(self._store.save, run.view)

    def _stepped(self, run: Run, said: str) -> None:
        self._events.tell(Event("trial.ended", run.view.engine, run.view.model, run.view.id, said))

    def _environment(self, engine: Engine) -> dict[str, Any]:
        view = engine.view()
        return {**system.environment(self._system), "engine_python": view.python, "engine_gil": view.gil}

    async def _close_run(self, run: Run, state: RunState) -> None:
        """Save it and let it go. What cannot be saved is told, and costs nothing else."""
        await self.save_unsaved()
        async with run.saving:
            failure = run.view.failure or (
                NOTHING_MEASURED if state == RunState.STOPPED and not run.view.summary else None
            )
            ended = replace(run.view, state=state, progress=1.0, failure=failure, finished_at=now())
            ended = await self._save(run, ended)
            run.view = ended  # in one step with the next line: nobody sees an ended run that is still active
            del self.active[ended.id]
        run.done.set()
        said = ended.failure or (ended.verdict.title if ended.verdict else ended.state)
        self._changed(run, f"Run {ended.id} {ended.state}: {said}")

    def _save_trace(self, id: int, recording: Recording) -> None:
        """From any thread: packing takes 50 ms for 400,000 changes of state."""
        self._store.save_trace(id, recording.pack())

    async def _save(self, run: Run, ended: RunView) -> RunView:
        """Answers it as it came to be: failed where the history could not take it."""
        outcome = run.outcome.to_json() if run.outcome else None
        try:
            await asyncio.to_thread(self._store.save_ended, ended, outcome, run.series)
        except NOT_SAVED as error:
            reason = f"The result could not be saved: {why(error)}."
            ended = self._unsaved[ended.id] = replace(
                ended, state=RunState.FAILED, failure=reason, verdict=no_verdict(reason)
            )
            return ended
        if run.recording is None:
            return ended
        try:
            await asyncio.to_thread(self._save_trace, ended.id, run.recording)
        except OSError as error:
            ended = replace(
                ended, notes=(*ended.notes, f"The recorded trace could not be saved: {why(error)}.")
            )
            with contextlib.suppress(*NOT_SAVED):
                await asyncio.to_thread(self._store.save, ended)
        return ended

    async def save_unsaved(self) -> None:
        """Those that the store could not take: at least that they failed, and why."""
        with contextlib.suppress(*NOT_SAVED):
            for view in tuple(self._unsaved.values()):
                await asyncio.to_thread(self._store.save, view)
                self._unsaved.pop(view.id, None)

    def _changed(self, run: Run, text: str) -> None:
        view = run.view
        self._events.tell(Event(f"run.{view.state}", view.engine, view.model, view.id, text, view.comparison))
