"""Carries out queued runs, one request at a time, and saves the results."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.addresses import is_loopback
from app.errors import LabError, NotNow, StartFailed
from app.events import Event, Events
from app.fleet.engine import Engine
from app.fleet.fleet import Fleet
from app.hosts.port import HostPool
from app.load.protocol.plan import HOSTS, Plan
from app.machine import system
from app.machine.cpu_placement import NORMAL, Placement, place, usable_cpus
from app.machine.machine_lock import machine_lock
from app.plans.scenarios import SCENARIOS
from app.results.fitness import main_figure
from app.runs.capacity import Limits
from app.runs.generator import GeneratorFailed
from app.runs.hot_swap import HotSwap
from app.runs.queue import JobQueue, report_bug
from app.runs.request import Target
from app.runs.run import Run, no_verdict
from app.runs.trial import TrialSetup
from app.schemas.host import HostState, HostUse
from app.schemas.run import RunView
from app.schemas.states import RunState
from app.schemas.system import SystemView
from app.settings import Settings
from app.store.database import SAVE_ERRORS, error_reason
from app.store.runs import RunStore
from app.timestamps import rfc3339_now

IDLE_HOST_TIMEOUT_S = 5.0  # what hosts do is known once per second, also that the run before has ended
IDLE_HOST_POLL_S = 0.1
NO_DATA = "Stopped during warm-up: no data was collected."

QueuedRun = tuple[Run, Target]


class RunWorker:
    """Carries out queued runs; those that were requested together run at once. Event loop only."""

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        store: RunStore,
        system: SystemView,
        events: Events,
        jobs: JobQueue[Run, RunView],
        hosts: HostPool,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._store = store
        self._system = system
        self._events = events
        self._jobs = jobs
        self._hosts = hosts
        self._queue: asyncio.Queue[Sequence[QueuedRun]] = asyncio.Queue()
        self._saves: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references to tasks

    def enqueue(self, runs: Sequence[QueuedRun]) -> None:
        """Queue runs that start at the same time, each against its own engine."""
        self._queue.put_nowait(runs)
        for run, _ in runs:
            self._report(run, f"Run {run.view.id} queued")

    async def run_queue(self) -> None:
        """Carry out queued runs until cancelled. Labs with the same data directory run one at a time."""
        while True:
            runs = await self._queue.get()

            def all_stopped(runs: Sequence[QueuedRun] = runs) -> bool:
                return all(run.stop_requested for run, _ in runs)

            try:
                async with machine_lock(self._settings.data_dir, all_stopped):
                    await asyncio.gather(*(self._run_to_end(run, target) for run, target in runs))
            except OSError as error:  # of the lock file
                await asyncio.gather(*(self._fail(run, error_reason(error)) for run, _ in runs))

    async def _run_to_end(self, run: Run, target: Target) -> None:
        try:
            if not run.stop_requested:
                await self._execute(run, target)
        except (LabError, GeneratorFailed, OSError) as error:
            await self._fail(run, error.detail if isinstance(error, LabError) else str(error))
        except Exception as error:
            await self._fail(run, report_bug(error, f"run {run.view.id}"))
        else:
            await self._close(run, RunState.STOPPED if run.stop_requested else RunState.FINISHED)

    async def _fail(self, run: Run, reason: str) -> None:
        if not run.stop_requested:
            run.view = replace(run.view, failure=reason, verdict=no_verdict(reason))
        await self._close(run, RunState.STOPPED if run.stop_requested else RunState.FAILED)

    async def _execute(self, run: Run, target: Target) -> None:
        placement = await self._placement(run)
        run.view = replace(run.view, state=RunState.WARMING, placement=placement.to_json())
        await self._save_state(run)
        self._report(run, f"Run {run.view.id} started")
        id, cpus = target.engine or "", placement.engine_cpus
        if target.engine is None:
            shared = bool(target.successors)
            id = (await self._fleet.start(target.model, target.knobs, cpus=cpus, reuse_port=shared)).id
        engine = self._fleet.engine(id)
        try:
            if not engine.alive:
                raise StartFailed(f"{id} ended before the run started.")
            run.view = replace(run.view, engine=id, environment=self._environment(run, engine))
            self._report(run, f"Run {run.view.id}: warm-up on {id}")
            limits = Limits(self._settings.max_rate, self._settings.max_duration_s)
            await run.measure(self._setup(run, engine, placement, target), limits)
        finally:
            if target.engine is None:
                await self._fleet.stop_port(engine.port)

    async def _placement(self, run: Run) -> Placement:
        # Concurrent runs and load groups share the load CPU: a real-time generator that always has work, as a
        # closed loop may have, would starve the others.
        is_alone = run.plan.is_all_open and not run.view.beside
        priority = self._system.load_priority if is_alone else NORMAL
        placement = place(run.plan.placement, usable_cpus(), run.plan.shards, priority)
        return (
            replace(placement, hosts=await self._load_hosts(run.plan))
            if placement.mode == HOSTS
            else placement
        )

    async def _load_hosts(self, plan: Plan) -> tuple[HostUse, ...]:
        """Return one idle host for each shard, or all idle ones. Raises NotNow without any."""
        hosts, is_local = self._hosts, is_loopback(self._settings.engine_host)
        deadline_s = time.monotonic() + IDLE_HOST_TIMEOUT_S
        while True:
            found = [host for host in hosts.load_hosts() if host.is_here or not is_local]
            idle = [host for host in found if host.state == HostState.READY]
            if idle:
                break
            if time.monotonic() > deadline_s:
                work = "; ".join(f"{host.name}: {', '.join(host.work)}" for host in found)
                busy = f"All hosts have other work now ({work})." if found else ""
                raise NotNow(busy or hosts.problem or "No host of the cluster generates load now.")
            await asyncio.sleep(IDLE_HOST_POLL_S)
        return tuple(HostUse(host.name, host.cores, host.kernel, host.python) for host in idle[: plan.shards])

    def _setup(self, run: Run, engine: Engine, placement: Placement, target: Target) -> TrialSetup:
        return TrialSetup(
            engine=engine,
            placement=placement,
            hosts=self._hosts,
            figure=main_figure(SCENARIOS.get(run.view.scenario or ""), run.plan),
            other_engines=len(self._fleet.alive) - 1,
            concurrent_runs=len(run.view.beside),
            hot_swap=HotSwap(self._fleet, target.successors, placement.engine_cpus),
        )

    def on_measuring(self, run: Run) -> None:
        """Set the state of a run after its first warm-up; ignore those of later trials of a search."""
        if run.view.state == RunState.RUNNING:
            return
        if run.recording:
            run.recording.begin_measurement()
        run.view = replace(run.view, state=RunState.RUNNING)
        saving = asyncio.create_task(self._save_state(run))
        self._saves.add(saving)
        saving.add_done_callback(self._saves.discard)
        self._report(run, f"Run {run.view.id}: measuring {run.view.engine}")

    def on_search_step(self, run: Run, text: str) -> None:
        """Report a trial of a capacity search."""
        self._events.publish(Event("trial.ended", run.view.engine, run.view.model, run.view.id, text))

    async def _save_state(self, run: Run) -> None:
        """Save the state for other processes that read the history. Errors are reported when the run ends."""
        async with run.saving:
            if run.view.id in self._jobs.active:
                with contextlib.suppress(*SAVE_ERRORS):
                    await asyncio.to_thread(self._store.save, run.view)

    def _environment(self, run: Run, engine: Engine) -> dict[str, Any]:
        view, known = engine.view(), run.view.environment
        facts = {
            **known,
            **system.environment(self._system),
            "engine_python": view.python,
            "engine_gil": view.gil,
        }
        return {**facts, "server_version": view.version} if view.server else facts

    async def _close(self, run: Run, state: RunState) -> None:
        await self._jobs.save_unsaved()
        async with run.saving:
            has_no_data = state == RunState.STOPPED and not run.view.summary
            failure = run.view.failure or (NO_DATA if has_no_data else None)
            ended = replace(run.view, state=state, progress=1.0, failure=failure, finished_at=rfc3339_now())
            ended = await self._save(run, ended)
            self._jobs.close(run, ended)
        text = ended.failure or (ended.verdict.title if ended.verdict else ended.state)
        self._report(run, f"Run {ended.id} {ended.state}: {text}")

    async def _save(self, run: Run, ended: RunView) -> RunView:
        """Return the run as it was saved; its state is failed if it could not be saved."""
        outcome = run.outcome.to_json() if run.outcome else None
        saved = await self._jobs.save_result(
            ended,
            write=lambda: self._store.save_ended(ended, outcome, run.series),
            failed=lambda reason: replace(
                ended, state=RunState.FAILED, failure=reason, verdict=no_verdict(reason)
            ),
        )
        if run.recording is None or saved is not ended:
            return saved
        try:
            await asyncio.to_thread(self._save_trace, run)
        except OSError as error:
            note = f"The thread trace could not be saved: {error_reason(error)}."
            ended = replace(ended, notes=(*ended.notes, note))
            with contextlib.suppress(*SAVE_ERRORS):
                await asyncio.to_thread(self._store.save, ended)
        return ended

    def _save_trace(self, run: Run) -> None:
        """Thread-safe. Packing 400,000 state changes takes 50 ms."""
        assert run.recording
        self._store.save_trace(run.view.id, run.recording.pack())

    def _report(self, run: Run, text: str) -> None:
        view = run.view
        self._events.publish(
            Event(
                f"run.{view.state}",
                view.engine,
                view.model,
                view.id,
                text,
                view.comparison,
                view.experiment,
                view.tuning,
            )
        )
