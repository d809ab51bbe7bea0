"""Tunings: submit, follow, stop and delete them, and read their results."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.errors import FieldProblem, Invalid
from app.events import Events
from app.fleet.launchables import Launchables
from app.load.protocol.plan import Plan
from app.machine import system
from app.plans.describe import describe
from app.rounds.bounds import check_rounds
from app.rounds.schedule import RoundSchedule
from app.rounds.series import Series, SeriesWorker
from app.runs.queue import JobQueue
from app.runs.runs import Runs
from app.schemas.states import JobState
from app.schemas.system import SystemView
from app.schemas.tuning import TuningView
from app.store.tunings import TuningStore
from app.timestamps import rfc3339_now
from app.tunings.answer import RULE
from app.tunings.request import TunedKnob, TuningRequest, given_plan, parse_knob
from app.tunings.value_runs import ValueRuns, search_s

QUEUE_MAX = 10


class Tunings:
    """All tunings: queued, in progress and in the history. Event loop only."""

    def __init__(
        self,
        launchables: Launchables,
        runs: Runs,
        store: TuningStore,
        system: SystemView,
        events: Events,
    ) -> None:
        self.jobs: JobQueue[Series[TuningView], TuningView] = JobQueue(
            "tuning", QUEUE_MAX, store, lambda series: self._worker.current_view(series)
        )
        self.active = self.jobs.active
        self._worker = SeriesWorker(runs, events, self.jobs)
        self._launchables = launchables
        self._runs = runs
        self._store = store
        self._system = system
        self.run_queue = self._worker.run_queue
        self.get = self.jobs.get
        self.history = self.jobs.newest
        self.finished = self.jobs.finished
        self.save_unsaved = self.jobs.save_unsaved
        self.count = store.count

    async def submit(self, request: TuningRequest) -> TuningView:
        """Queue a tuning and return it. Raises LabError; nothing is queued then."""
        seed = check_rounds(request.rounds, request.seed)
        knob = await asyncio.to_thread(parse_knob, self._launchables, request)
        given = given_plan(request)
        plan = self._plan(request, knob, given)
        [new] = await self.jobs.add([self._new_view(request, knob, plan, seed)], len(self.active))
        needs = [(value,) for value in range(len(knob.values))]
        schedule = RoundSchedule(needs, lambda _: request.rounds, seed)
        items = ValueRuns(self._store, knob, given)
        series = self.active[new.id] = Series(new, items, schedule, search_s(plan.total_s))
        self._worker.enqueue(series)
        return self.get(new.id)

    async def stop(self, id: int) -> TuningView:
        """End a tuning early; finished runs are kept. Raises Unknown, or NotNow if it has ended."""
        await self._worker.stop(self.jobs.require_active(id))
        return self.get(id)

    def stop_all(self) -> None:
        """End the tuning in progress and remove what is queued."""
        for tuning in self.active.values():
            tuning.stop_requested = True

    async def delete(self, id: int, with_runs: bool = False) -> None:
        """Delete a tuning; its runs stay in the history unless `with_runs`. Raises Unknown, NotNow."""
        self.jobs.require_ended(id)
        if with_runs:
            runs = [trial.run for trial in self.get(id).runs]
            await self._runs.delete([run for run in runs if self._runs.exists(run)])
        await asyncio.to_thread(self._store.delete, id)
        self.jobs.forget(id)

    def _plan(self, request: TuningRequest, knob: TunedKnob, given: dict[str, object]) -> Plan:
        """Return the plan of the runs. Raises Invalid, also if one of the values cannot have it."""
        try:
            _, plan = self._runs.validator.plan(request.scenario, given)
            for value in knob.values:
                self._runs.validator.target(None, request.model, {**knob.given, request.knob: value}, plan)
        except Invalid as error:
            problems = tuple(map(_at_the_request, error.problems))
            raise Invalid(error.detail, problems) from None
        return plan

    def _new_view(self, request: TuningRequest, knob: TunedKnob, plan: Plan, seed: int) -> TuningView:
        is_external = self._launchables.is_external(request.model)
        return TuningView(
            id=0,
            state=JobState.QUEUED,
            progress=0.0,
            left_s=None,
            label=request.label,
            model=request.model,
            model_title=self._launchables.title(request.model),
            server=request.model if is_external else None,
            knob=knob.view.name,
            unit=knob.view.unit,
            values=knob.values,
            knobs=knob.given,
            objective=request.objective,
            scenario=request.scenario,
            plan=plan.to_json(),
            plan_text=describe(plan),
            rounds=request.rounds,
            seed=seed,
            environment=system.environment(self._system) | self._launchables.application_fact,
            runs=(),
            current=None,
            result=None,
            failure=None,
            rule=RULE,
            created_at=rfc3339_now(),
            finished_at=None,
        )


def _at_the_request(problem: FieldProblem) -> FieldProblem:
    """Return a problem of the plan's objective at the field of the tuning that it comes from."""
    is_objective = problem.pointer == "/plan/objective"
    return replace(problem, pointer="/objective") if is_objective else problem
