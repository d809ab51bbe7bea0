"""Runs: the queue, the one that goes, and the history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.errors import Busy, Invalid, LabError, NotNow, StartFailed, Unknown
from app.lab import planning, system
from app.lab.capacity import Limits
from app.lab.engine import Engine
from app.lab.events import Event, Events
from app.lab.fleet import Fleet
from app.lab.generator import NoOutcome
from app.lab.models import Models
from app.lab.placement import place, usable_cpus
from app.lab.plan_words import words
from app.lab.progress import Progress
from app.lab.relay import Follower, Relay
from app.lab.run import Run, Told, no_verdict
from app.lab.scenarios import SCENARIOS
from app.lab.summary import curve, interval_log
from app.lab.thresholds import Threshold
from app.lab.turn import run_turn
from app.lab.views import RunView, ScenarioView, SystemView
from app.load.outcome import Outcome
from app.load.plan import Plan
from app.settings import Settings
from app.store.runs import RunStore

QUEUE_MAX = 50
BESIDE_MAX = 5
FOLLOWERS_MAX = 5
GOING = ("warming", "running")
ID_MAX = 2**63 - 1  # what SQLite can hold
IDLE_SPARE_S = 30  # an engine that carries an idle crowd outlives the plan by this


@dataclass(frozen=True, slots=True)
class Target:
    """What a run will be against: an engine that runs, or (None) a fresh one of the model."""

    engine: str | None
    model: str
    knobs: dict[str, int | str]
    followers: tuple[Follower, ...] = ()  # that take over from it, one after the other


Prepared = tuple[RunView, Plan, tuple[Threshold, ...], Target]
Job = tuple[Run, Target]


class Runs:
    """One run at a time; the others wait. Event loop of the main thread only."""

    def __init__(
        self, settings: Settings, models: Models, fleet: Fleet, store: RunStore, system: SystemView, events: Events
    ) -> None:
        self.active: dict[int, Run] = {}  # queued and going; the others are in the store
        self._settings = settings
        self._models = models
        self._fleet = fleet
        self._store = store
        self._system = system
        self._events = events
        self._queue: asyncio.Queue[list[Job]] = asyncio.Queue()  # those of one list go at once

    def scenario(self, name: str) -> ScenarioView:
        if name not in SCENARIOS:
            raise Invalid.field("/scenario", f"There is no scenario {name!r}; there are {', '.join(SCENARIOS)}.")
        return SCENARIOS[name]

    def planned(self, scenario: str | None, plan: Mapping[str, Any] | None) -> tuple[ScenarioView | None, Plan]:
        """The scenario that is named, and its plan with the given fields over it. Raises Invalid."""
        named = self.scenario(scenario) if scenario else None
        fields = {**(named.plan if named else {}), **(plan or {})}
        return named, planning.checked(fields, self._settings, self._system.descriptor_limit)

    async def submit(
        self,
        *,
        engine: str | None = None,
        model: str | None = None,
        knobs: Mapping[str, object] | None = None,
        scenario: str | None = None,
        plan: Mapping[str, Any] | None = None,
        thresholds: Sequence[str] = (),
        label: str | None = None,
        comparison: int | None = None,
        then: Sequence[Mapping[str, Any]] = (),
    ) -> RunView:
        """Queue a run. A given plan's fields go over those of the scenario. Raises LabError; nothing is queued then.

        `then` makes it a relay: models (and knobs) of which one after the other takes over on the same port.
        """
        prepared = self._prepare(engine, model, knobs, scenario, plan, thresholds, label, then)
        return (await self._queue_up([prepared], comparison=comparison))[0]

    async def submit_beside(
        self,
        engines: Sequence[str],
        *,
        scenario: str | None = None,
        plan: Mapping[str, Any] | None = None,
        thresholds: Sequence[str] = (),
        label: str | None = None,
    ) -> list[RunView]:
        """Queue a run for each of several engines, to go at once. They share the machine, so none is ever ranked."""
        if not 2 <= len(set(engines)) == len(engines) <= BESIDE_MAX:
            raise Invalid.field("/engines", f"Name 2 to {BESIDE_MAX} engines that run, each once.")
        prepared = [self._prepare(each, None, None, scenario, plan, thresholds, label) for each in engines]
        if prepared[0][1].executor == "find-capacity":
            raise Invalid.field("/plan/executor", "A search for capacity needs the machine for itself.")
        return await self._queue_up(prepared)

    def _prepare(
        self,
        engine: str | None,
        model: str | None,
        knobs: Mapping[str, object] | None,
        scenario: str | None,
        plan: Mapping[str, Any] | None,
        thresholds: Sequence[str],
        label: str | None,
        then: Sequence[Mapping[str, Any]] = (),
    ) -> Prepared:
        """Check all of an order; raises LabError."""
        if (engine is None) == (model is None):
            raise Invalid.field("/engine", "Name either an engine that runs, or a model to start one of.")
        if engine is not None:
            self._fleet.engine(engine)
        elif model is not None:
            self._models.get(model)
        named, checked = self.planned(scenario, plan)
        conditions = tuple(Threshold.parse(text, f"/thresholds/{i}") for i, text in enumerate(thresholds))
        target = self.target(engine, model, dict(knobs or {}), checked)
        if then:
            target = replace(target, followers=self._followers(target, checked, then))
        return self._new_view(target, checked, named, label), checked, conditions, target

    async def _queue_up(self, prepared: Sequence[Prepared], comparison: int | None = None) -> list[RunView]:
        """Keep and queue them, to go at once."""
        if len(self.active) + len(prepared) > QUEUE_MAX:
            raise Busy(f"{QUEUE_MAX} runs are waiting already.")
        views = [
            await asyncio.to_thread(self._store.add, replace(view, comparison=comparison)) for view, *_ in prepared
        ]
        jobs = []
        for view, (_, plan, conditions, target) in zip(views, prepared, strict=True):
            view = replace(view, beside=tuple(other.id for other in views if other is not view))
            run = self.active[view.id] = Run(view, plan, conditions)
            jobs.append((run, target))
        self._queue.put_nowait(jobs)
        for run, _ in jobs:
            self._changed(run, f"Run {run.view.id} is queued")
        return [run.view for run, _ in jobs]

    def _followers(self, target: Target, plan: Plan, then: Sequence[Mapping[str, Any]]) -> tuple[Follower, ...]:
        """The engines that are to take over, checked as the first one was."""
        if target.engine is not None:
            raise Invalid.field("/then", "A relay begins with a fresh engine: name a model, not an engine that runs.")
        if len(then) > FOLLOWERS_MAX:
            raise Invalid.field("/then", f"At most {FOLLOWERS_MAX} engines take over.")
        if plan.executor == "find-capacity" or plan.stall_ms:
            raise Invalid.field("/then", "A relay is neither searched for capacity nor stalled.")
        targets = [self.target(None, str(each["model"]), dict(each.get("knobs") or {}), plan) for each in then]
        return tuple(Follower(each.model, each.knobs) for each in targets)

    def get(self, id: int) -> RunView:
        """Any run, going or kept."""
        if id in self.active:
            run = self.active[id]
            return replace(run.view, progress=run.progress().progress)
        view = self._store.get(id) if 0 < id <= ID_MAX else None
        if view is None:
            raise Unknown(f"There is no run {id}.")
        return view

    async def history(self, limit: int, offset: int = 0) -> list[RunView]:
        """Newest first; those that are queued or going as they are now."""
        kept = await asyncio.to_thread(self._store.newest, limit, offset)
        return [self.get(view.id) if view.id in self.active else view for view in kept]

    def stop(self, id: int) -> RunView:
        view = self.get(id)
        if id not in self.active:
            raise NotNow(f"Run {id} is {view.state} already.")
        self.active[id].stop()
        return view

    def stop_all(self) -> None:
        """End what goes and take out what waits."""
        for run in self.active.values():
            run.stop()

    def delete(self, id: int) -> None:
        self.get(id)
        if id in self.active:
            raise NotNow(f"Run {id} is still {self.active[id].view.state}; stop it first.")
        self._store.delete(id)

    def current(self) -> Run | None:
        """The run that is going now."""
        return next((run for run in self.active.values() if run.view.state in GOING), None)

    def progress(self) -> Progress | None:
        run = self.current()
        return run.progress() if run else None

    def progresses(self) -> list[Progress]:
        """Of all runs that are going: several, where they were asked to go beside each other."""
        return [run.progress() for run in self.active.values() if run.view.state in GOING]

    async def finished(self, id: int) -> RunView:
        """Wait for a run's end."""
        if id in self.active:
            await self.active[id].done.wait()
        return self.get(id)

    def series(self, id: int) -> dict[str, Any]:
        self.get(id)
        return self._store.series(id) or {"columns": [], "rows": []}

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

    def target(self, engine: str | None, model: str | None, knobs: dict[str, object], plan: Plan) -> Target:
        """What the run will be against, checked now and not when its turn comes."""
        outlives = plan.total_s + IDLE_SPARE_S
        if engine is not None:
            found = self._fleet.engine(engine)
            if found.state not in ("ready", "degraded"):
                raise NotNow(f"{engine} is {found.state}; a run needs one that is ready.")
            if knobs:
                raise Invalid.field("/knobs", "Knobs are for a model; an engine that runs has its own already.")
            if _is_silent(plan) and int(found.knobs["idle_s"]) < outlives:
                raise NotNow(
                    f"{engine} closes idle connections after {found.knobs['idle_s']} s, and this plan holds an idle "
                    f"crowd for {plan.total_s:g} s; start one with idle_s of {outlives:g} or more."
                )
            self._check_room(plan, found.knobs)
            return Target(engine, found.model.name, found.knobs)
        assert model is not None
        if _is_silent(plan) and "idle_s" not in knobs:
            knobs["idle_s"] = int(outlives) + 1
        parsed = self._models.knobs(model, knobs)
        self._models.require_available(model)
        self._check_room(plan, parsed)
        return Target(None, model, parsed)

    def _check_room(self, plan: Plan, knobs: Mapping[str, int | str]) -> None:
        room = min(int(knobs["max_connections"]), int(knobs.get("max_threads", 1_000_000)))
        if plan.connections > room:
            raise Invalid.field(
                "/plan/vus", f"The plan holds {plan.connections:,} connections, and the engine's knobs allow {room:,}."
            )

    def _new_view(self, target: Target, plan: Plan, scenario: ScenarioView | None, label: str | None) -> RunView:
        text = words(plan)
        return RunView(
            id=0, state="queued", progress=0.0, label=label, scenario=scenario.name if scenario else None,
            title=scenario.title if scenario else "By hand", model=target.model,
            model_title=self._models.get(target.model).title, engine=target.engine, knobs=target.knobs,
            plan=plan.to_json(), plan_text=text, placement={"mode": plan.placement},
            environment=system.environment(self._system), summary=None, ledger=None, verdict=None, thresholds=(),
            failure=None, created_at=now(), finished_at=None,
        )  # fmt: skip

    async def work_off(self) -> None:
        while True:
            jobs = await self._queue.get()
            if all(run.stop_asked for run, _ in jobs):
                turn: contextlib.AbstractAsyncContextManager[None] = contextlib.nullcontext()
            else:
                turn = run_turn(self._settings.data_dir)
            async with turn:
                await asyncio.gather(*(self._see_through(run, target) for run, target in jobs))

    async def _see_through(self, run: Run, target: Target) -> None:
        """To its end, whatever that is."""
        try:
            if not run.stop_asked:
                await self._carry_out(run, target)
            await self._close_run(run, "stopped" if run.stop_asked else "finished")
        except (LabError, NoOutcome, OSError) as error:
            reason = error.detail if isinstance(error, LabError) else str(error)
            if not run.stop_asked:
                run.view = replace(run.view, failure=reason, verdict=no_verdict(reason))
            await self._close_run(run, "stopped" if run.stop_asked else "failed")

    async def _carry_out(self, run: Run, target: Target) -> None:
        placement = place(run.plan.placement, usable_cpus(), run.plan.shards)
        run.view = replace(run.view, state="warming", placement=placement.to_json())
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
            await run.measure(engine, placement, others, limits, Relay(self._fleet, target.followers, cpus), told)
        finally:
            if own:
                await self._fleet.stop_on(engine.port)

    def _measuring(self, run: Run) -> None:
        if run.view.state == "running":
            return  # a later trial of a search
        if run.recording:
            run.recording.measuring()
        run.view = replace(run.view, state="running")
        self._changed(run, f"Run {run.view.id} measures {run.view.engine}")

    def _stepped(self, run: Run, said: str) -> None:
        self._events.tell(Event("trial.ended", run.view.engine, run.view.model, run.view.id, said))

    def _environment(self, engine: Engine) -> dict[str, Any]:
        view = engine.view()
        return {**system.environment(self._system), "engine_python": view.python, "engine_gil": view.gil}

    async def _close_run(self, run: Run, state: str) -> None:
        ended = replace(run.view, state=state, progress=1.0, finished_at=now())
        outcome = run.outcome.to_json() if run.outcome else None
        await asyncio.to_thread(self._store.save_result, ended.id, outcome, run.series, run.recording)
        await asyncio.to_thread(self._store.save, ended)
        run.view = ended  # in one step with the next line: nobody sees an ended run that is still active
        del self.active[ended.id]
        run.done.set()
        said = run.view.verdict.title if run.view.verdict else run.view.failure or state
        self._changed(run, f"Run {run.view.id} {state}: {said}")

    def _changed(self, run: Run, text: str) -> None:
        view = run.view
        self._events.tell(Event(f"run.{view.state}", view.engine, view.model, view.id, text, view.comparison))


def _is_silent(plan: Plan) -> bool:
    """Whether it holds connections that may not ask for anything while it lasts."""
    return bool(plan.idle_connections or plan.slow_readers or plan.slow_writers)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
