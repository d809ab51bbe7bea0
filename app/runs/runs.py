"""Runs: submit, follow, stop, annotate and delete them, and read their results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from app.errors import Invalid, NotNow
from app.events import Events
from app.fleet.fleet import Fleet
from app.fleet.launchables import Launchables
from app.hosts.port import HostPool, HostRun
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import HOSTS
from app.results.summary import curve, interval_log
from app.results.time_range import time_range
from app.runs.progress import Progress
from app.runs.queue import JobQueue
from app.runs.request import RequestValidator, RunRequest, ValidRequest
from app.runs.run import Run
from app.runs.worker import RunWorker
from app.schemas.excerpt import TraceExcerpt
from app.schemas.run import RunView
from app.schemas.system import SystemView
from app.schemas.time_range import TimeRange
from app.settings import Settings
from app.store.runs import RunStore
from app.trace.excerpt import excerpt
from app.trace.recording import Recording

QUEUE_MAX = 50
CONCURRENT_MAX = 5


class Runs:
    """All runs: queued, in progress and in the history. Event loop only, unless a method says otherwise."""

    def __init__(
        self,
        settings: Settings,
        launchables: Launchables,
        fleet: Fleet,
        store: RunStore,
        system: SystemView,
        events: Events,
        hosts: HostPool,
    ) -> None:
        self.validator = RequestValidator(settings, launchables, fleet, system, hosts)
        self.jobs: JobQueue[Run, RunView] = JobQueue("run", QUEUE_MAX, store, _current_view)
        self.active = self.jobs.active
        self._worker = RunWorker(settings, fleet, store, system, events, self.jobs, hosts)
        self._store = store
        self._adapter = TypeAdapter(RunView)
        self.run_queue = self._worker.run_queue
        self.get = self.jobs.get
        self.history = self.jobs.newest
        self.refreshed = self.jobs.refreshed
        self.finished = self.jobs.finished
        self.require_ours = self.jobs.require_ours
        self.save_unsaved = self.jobs.save_unsaved

    async def submit(self, request: RunRequest) -> RunView:
        """Queue a run and return it. Raises LabError; nothing is queued then."""
        return (await self._enqueue([self.validator.validate(request)]))[0]

    async def submit_concurrent(self, engines: Sequence[str], request: RunRequest) -> list[RunView]:
        """Queue the same load for several running engines at the same time; return one run for each.

        Concurrent runs share the machine, so they are never ranked. Raises LabError; nothing is queued then.
        """
        if not 2 <= len(set(engines)) == len(engines) <= CONCURRENT_MAX:
            raise Invalid.field("/engines", f"Give 2 to {CONCURRENT_MAX} different running engines.")
        valid = [self.validator.validate(replace(request, engine=each, model=None)) for each in engines]
        if valid[0].plan.executor == "find-capacity":
            raise Invalid.field(
                "/plan/executor", "A capacity search cannot run concurrently with other runs."
            )
        if valid[0].plan.placement == HOSTS:
            raise Invalid.field(
                "/plan/placement",
                "Concurrent runs need the load on this machine: a host has one load at a time.",
            )
        return await self._enqueue(valid)

    async def _enqueue(self, requests: Sequence[ValidRequest]) -> list[RunView]:
        """Queue concurrent runs. A trial needs no place: its comparison, experiment or tuning has one."""
        waiting = None
        if not _is_trial(requests[0].view):
            waiting = sum(not _is_trial(run.view) for run in self.active.values())
        views = await self.jobs.add([each.view for each in requests], waiting)
        queued = []
        for view, request in zip(views, requests, strict=True):
            view = replace(view, beside=tuple(other.id for other in views if other is not view))
            run = self.active[view.id] = Run(view, request.plan, request.thresholds, self._worker)
            queued.append((run, request.target))
        self._worker.enqueue(queued)
        return [run.view for run, _ in queued]

    async def adopt(self, found: HostRun, request: RunRequest, host: str) -> RunView:
        """Store a run that another host has measured for `request`, and return it.

        Raises one of SAVE_ERRORS.
        """
        view = self._adapter.validate_python(found.view)
        view = replace(
            view,
            id=0,
            engine=None,  # ids of engines are those of this lab
            label=request.label,
            comparison=request.comparison,
            experiment=request.experiment,
            tuning=request.tuning,
            environment={**view.environment, "host": host},
        )
        outcome = dict(found.outcome) if found.outcome else None
        return await asyncio.to_thread(self._store.add_ended, view, outcome, dict(found.series))

    async def annotate(self, id: int, texts: Mapping[str, str | None]) -> RunView:
        """Change `label`, `comment` or both of a run (None: none) and return it. Raises Unknown, NotNow."""
        changes: dict[str, Any] = dict(texts)
        if run := self.active.get(id):
            async with run.saving:
                run.view = replace(run.view, **changes)
                await asyncio.to_thread(self._store.save, run.view)
                return run.view
        view = replace(self.get(id), **changes)
        self.require_ours(id)
        await asyncio.to_thread(self._store.save, view)
        self.jobs.forget(id)
        return view

    def stop(self, id: int) -> RunView:
        """End a run early; what was measured is kept. Raises Unknown, or NotNow if it has ended."""
        self.jobs.require_active(id).stop()
        return self.get(id)

    def stop_all(self) -> None:
        """End the run in progress and remove what is queued."""
        for run in self.active.values():
            run.stop()

    async def delete(self, ids: Sequence[int]) -> None:
        """Delete runs, all or none, at 1.4 ms or more per run. Raises Unknown, or NotNow if one is active."""
        for id in ids:
            self.jobs.require_ended(id)
            await asyncio.sleep(0)  # 100 of these checks would block the event loop for 40 ms
        for id in ids:
            await asyncio.to_thread(self._store.delete, id)
            self.jobs.forget(id)

    def exists(self, id: int) -> bool:
        """Return whether there is a run with this id."""
        return id in self.active or self._store.get(id) is not None

    def current(self) -> Run | None:
        """Return the run in progress (the first of concurrent ones); None: no run."""
        return next((run for run in self.active.values() if run.view.state.is_in_progress), None)

    def progress(self) -> Progress | None:
        """Return the progress of the current run; None: no run."""
        run = self.current()
        return run.progress() if run else None

    def progresses(self) -> list[Progress]:
        """Return the progress of each run in progress; there are several if they are concurrent."""
        return [run.progress() for run in self.active.values() if run.view.state.is_in_progress]

    def series(self, id: int) -> dict[str, Any]:
        """Return the rows of a run, one per second, with their columns. Thread-safe. Raises Unknown."""
        self.get(id)
        return self._store.series(id) or {"columns": [], "rows": []}

    def recording(self, id: int) -> Recording | None:
        """Return the thread trace of a run; None: no trace, or one of another run. Thread-safe."""
        packed, started_ns = self._store.trace(id), self.series(id).get("started_ns")
        recording = Recording.unpack(packed) if packed else None
        return recording if recording and started_ns and recording.covers(started_ns) else None

    def excerpt(self, id: int, window_us: float | None = None) -> TraceExcerpt:
        """Return a window of the thread trace in which single requests can be seen, about a slow one.

        `window_us`: its length; None: one that fits. Thread-safe. Raises Unknown, and NotNow without a trace.
        """
        view, recording = self.get(id), self.recording(id)
        if recording is None:
            raise NotNow(f"Run {id} is {view.state} and has no thread trace. Start it with the option trace.")
        from_ns = self.series(id)["started_ns"] + int((view.plan.get("warmup_s") or 0) * 1e9)
        return excerpt(recording, view, from_ns, window_us)

    def histogram(self, id: int) -> str:
        """Return response times as an HdrHistogram interval log. Thread-safe. Raises Unknown, NotNow."""
        return interval_log(self._outcome(id))

    def percentiles(self, id: int) -> dict[str, Any]:
        """Return latency by percentile, service and response time. Thread-safe. Raises Unknown, NotNow."""
        return curve(self._outcome(id))

    def time_range(self, id: int, from_s: float | None, to_s: float | None) -> TimeRange:
        """Return the figures of the seconds of a run that overlap a range, see `app.results.time_range`.

        Thread-safe. Raises Unknown, NotNow without a histogram, and Invalid if there is no such second.
        """
        return time_range(self._outcome(id), self.series(id), from_s, to_s)

    def _outcome(self, id: int) -> Outcome:
        view = self.get(id)
        stored = self._store.outcome(id)
        if stored is None:
            raise NotNow(f"Run {id} is {view.state} and has no histogram.")
        return Outcome.from_json(stored)


def _is_trial(view: RunView) -> bool:
    return any(job is not None for job in (view.comparison, view.experiment, view.tuning))


def _current_view(run: Run) -> RunView:
    return replace(run.view, progress=run.progress().progress)
