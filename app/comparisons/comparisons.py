"""Comparisons: submit, follow, stop and delete them, and read their results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from app.comparisons.entries import parse_entries, resolve_load
from app.comparisons.entry_runs import EntryRuns
from app.comparisons.on_hosts import ComparisonsOnHosts
from app.comparisons.ranking import RULE
from app.events import Events
from app.fleet.launchables import Launchables
from app.machine import system
from app.plans.describe import describe, load_title, scenario_title
from app.plans.thresholds import parse_thresholds
from app.results.fitness import main_figure
from app.rounds.bounds import check_rounds
from app.rounds.on_hosts import RoundHosts
from app.rounds.schedule import RoundSchedule
from app.rounds.series import Series, SeriesWorker
from app.runs.queue import JobQueue
from app.runs.runs import Runs
from app.schemas.comparison import ComparisonView
from app.schemas.states import JobState
from app.schemas.system import SystemView
from app.statistics.decision import ROUNDS
from app.store.comparisons import ComparisonStore
from app.store.listing import RunFilter
from app.store.runs import RunStore
from app.timestamps import rfc3339_now

QUEUE_MAX = 10
OVERHEAD_S = 1.5  # to start and stop an engine; an estimate until the first run has ended


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """A requested comparison: models (a name, or a name with knobs) under one load.

    `view`: "ceiling" or "equal-rate". `seed`: of the random order; None: a new one. Missing fields are those
    of the view's scenario.
    """

    models: Sequence[str | Mapping[str, Any]]
    view: str | None = None
    scenario: str | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = ROUNDS
    seed: int | None = None
    thresholds: Sequence[str] = ()
    label: str | None = None


class Comparisons:
    """All comparisons: queued, in progress and in the history. Event loop only."""

    def __init__(
        self,
        launchables: Launchables,
        runs: Runs,
        run_store: RunStore,
        store: ComparisonStore,
        system: SystemView,
        events: Events,
        hosts: RoundHosts,
    ) -> None:
        self.jobs: JobQueue[Series[ComparisonView], ComparisonView] = JobQueue(
            "comparison", QUEUE_MAX, store, lambda series: self._worker.current_view(series)
        )
        self.active = self.jobs.active
        self._worker = SeriesWorker(runs, events, self.jobs)
        self._worker.on_hosts = ComparisonsOnHosts(hosts, self._worker).carry_out
        self._launchables = launchables
        self._runs = runs
        self._run_store = run_store
        self._store = store
        self._system = system
        self.run_queue = self._worker.run_queue
        self.get = self.jobs.get
        self.history = self.jobs.newest
        self.finished = self.jobs.finished
        self.save_unsaved = self.jobs.save_unsaved
        self.count = store.count

    async def submit(self, request: ComparisonRequest) -> ComparisonView:
        """Queue a comparison and return it. Raises LabError; nothing is queued then."""
        seed = check_rounds(request.rounds, request.seed)
        view, scenario, given = resolve_load(request.view, request.scenario, request.plan)
        named, plan = self._runs.validator.plan(scenario, given)
        entries, knobs = parse_entries(self._launchables, request.models)
        for entry, given_knobs in zip(entries, knobs, strict=True):
            self._runs.validator.target(None, entry.model, given_knobs, plan)
        parse_thresholds(request.thresholds)
        new = ComparisonView(
            id=0,
            state=JobState.QUEUED,
            progress=0.0,
            left_s=None,
            label=request.label,
            view=view,
            title=scenario_title(named, plan) or load_title(plan),
            scenario=scenario,
            entries=entries,
            trials=request.rounds,
            plan=plan.to_json(),
            plan_text=describe(plan),
            thresholds=tuple(request.thresholds),
            environment=system.environment(self._system) | self._launchables.application_fact,
            runs=(),
            current=None,
            result=None,
            failure=None,
            created_at=rfc3339_now(),
            finished_at=None,
            rule=RULE,
            seed=seed,
        )
        [new] = await self.jobs.add([new], len(self.active))
        schedule = RoundSchedule(_needs(len(entries)), lambda _: request.rounds, seed)
        items = EntryRuns(self._run_store, self._store, main_figure(named, plan), knobs, given)
        series = self.active[new.id] = Series(new, items, schedule, plan.total_s + OVERHEAD_S)
        self._worker.enqueue(series)
        return self.get(new.id)

    def percentiles(self, id: int) -> dict[str, Any]:
        """Return latency by percentile of each entry, from the merged histograms; None: no data."""
        view = self.get(id)
        return self._store.curves(id) or {"entries": [None] * len(view.entries)}

    async def stop(self, id: int) -> ComparisonView:
        """End a comparison early; finished trials are kept. Raises Unknown, or NotNow if it has ended."""
        await self._worker.stop(self.jobs.require_active(id))
        return self.get(id)

    def stop_all(self) -> None:
        """End the comparison in progress and remove what is queued."""
        for comparison in self.active.values():
            comparison.stop_requested = True

    async def delete(self, id: int, with_runs: bool = False) -> None:
        """Delete a comparison; its runs stay in the history unless `with_runs`. Raises Unknown, NotNow."""
        self.jobs.require_ended(id)
        await asyncio.to_thread(self._delete, id, with_runs)
        self.jobs.forget(id)

    def _delete(self, id: int, with_runs: bool) -> None:
        """Query the runs: the view lacks the last one if the control plane was killed during it."""
        for run in self._run_store.ids(RunFilter(comparison=id)):
            if with_runs:
                self._run_store.delete(run)
            elif stored := self._run_store.get(run):
                self._run_store.save(replace(stored, comparison=None))
        self._store.delete(id)


def _needs(entries: int) -> list[tuple[int, ...]]:
    """Return every two entries, or the only one."""
    return list(combinations(range(entries), 2)) or [(0,)]
