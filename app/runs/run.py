"""One run: a plan offered to an engine, from the queue to the verdict."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any, Protocol

from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.load.protocol.request_times import RequestTimes
from app.plans.thresholds import Threshold
from app.results.fitness import invalidate
from app.results.threshold_check import check
from app.results.verdict import with_capacity
from app.runs.capacity import CapacitySearch, Limits
from app.runs.progress import MeterWindow, Progress, progress
from app.runs.trial import Trial, TrialResult, TrialSetup
from app.schemas.capacity import Capacity
from app.schemas.result import Verdict
from app.schemas.run import RunView
from app.schemas.states import VerdictName
from app.trace.recording import Recording


class RunListener(Protocol):
    """Is notified of the steps of a run, on the event loop."""

    def on_measuring(self, run: Run) -> None:
        """Called when a warm-up is over: of the run, or of a trial of its capacity search."""

    def on_search_step(self, run: Run, text: str) -> None:
        """Called when a trial of a capacity search has ended; `text` is one line."""


class Run:
    """A queued or running run. Event loop only."""

    def __init__(
        self, view: RunView, plan: Plan, thresholds: tuple[Threshold, ...], listener: RunListener
    ) -> None:
        self.view = view
        self.plan = plan
        self.thresholds = thresholds
        self.stop_requested = False
        self.done = asyncio.Event()
        self.saving = asyncio.Lock()  # held while the view is changed and saved
        self.series: dict[str, Any] = {"columns": (), "rows": []}
        self.outcome: Outcome | None = None
        self.recording: Recording | None = None  # if the plan has a thread trace
        self._listener = listener
        self._trial: Trial | None = None
        self._search: CapacitySearch | None = None
        self._meter = MeterWindow()

    def stop(self) -> None:
        """End early. The result covers what was measured, and is marked as stopped."""
        self.stop_requested = True
        if self._trial:
            self._trial.stop()

    async def measure(self, setup: TrialSetup, limits: Limits) -> None:
        """Offer the plan to the engine and keep the result. Raises GeneratorFailed if there is none."""
        engine, cpus_before = setup.engine, setup.engine.cpus
        engine.pin(setup.placement.engine_cpus)
        allow_viewers = bool(setup.concurrent_runs or setup.hot_swap)
        try:
            with engine.trace_run(self.plan.trace, allow_viewers=allow_viewers) as self.recording:
                if self.plan.executor == "find-capacity":
                    result = await self._search_capacity(setup, limits)
                else:
                    result = await self._run_trial(self.plan, setup)
        finally:
            if engine.alive:
                engine.pin(cpus_before)
        if result:
            await self._keep(result)

    async def _run_trial(self, plan: Plan, setup: TrialSetup) -> TrialResult | None:
        if self.stop_requested:
            return None
        self._trial = Trial(plan, setup, lambda: self._listener.on_measuring(self))
        self._meter = self._trial.meter
        try:
            return await self._trial.run()
        finally:
            self._trial = None

    async def _search_capacity(self, setup: TrialSetup, limits: Limits) -> TrialResult | None:
        def on_step(capacity: Capacity) -> None:
            self.view = replace(self.view, capacity=capacity)
            step = capacity.steps[-1]
            text = f"{step.rate_per_s:,.6g} req/s, trial {step.trial}: {step.because}"
            self._listener.on_search_step(self, text)

        search = CapacitySearch(self.plan, limits, lambda plan: self._run_trial(plan, setup), on_step)
        self._search = search
        await search.run()
        found = search.capacity
        self.view = replace(self.view, capacity=found)
        if search.best is None:
            return None
        verdict = with_capacity(search.best.verdict, found)
        if found.kept_per_s is None or found.limited_by:
            reason = found.limited_by or f"No rate met the objective {found.objective}."
            verdict = invalidate(verdict, ["kept_per_s"], reason)
        return replace(search.best, verdict=verdict)

    def progress(self) -> Progress:
        """Return the progress and the live figures, read from the generator's meter."""
        view = self.view
        if self._trial:
            self._trial.sample()
            view = replace(view, engine=self._trial.engine.id)  # in a hot swap: the engine that serves now
        if self._search is None:
            return progress(view, self.plan, self._meter, None, self.plan.total_s)
        plan = self._trial.plan if self._trial else self.plan
        return progress(view, plan, self._meter, self._search.progress, self._search.estimated_total_s)

    async def _keep(self, result: TrialResult) -> None:
        if self.recording:
            self.recording.requests = _request_times(result.outcome)
        self.outcome, self.series = result.outcome.without_times(), result.series
        summary, ledger, verdict = result.summary, result.ledger, result.verdict
        # In a thread: percentiles that are not in the summary take 3 ms each, from the merged histogram.
        results = await asyncio.to_thread(
            lambda: tuple(check(each, summary, ledger, verdict, result.outcome) for each in self.thresholds)
        )
        placement = self.view.placement
        if result.hosts:
            placement = {**placement, "hosts": [asdict(host) for host in result.hosts]}
        self.view = replace(
            self.view,
            placement=placement,
            summary=summary,
            ledger=ledger,
            verdict=verdict,
            marks=result.marks,
            notes=result.notes,
            legs=result.phases,
            processes=result.processes,
            thresholds=results,
        )


def _request_times(outcome: Outcome) -> dict[str, RequestTimes]:
    """Return the times of single requests by kind; those of a load group with its name before the kind."""
    found = {kind.label: kind.times for kind in outcome.kinds}
    for name, group in outcome.groups.items():
        found |= {f"{name}: {kind.label}": kind.times for kind in group.kinds}
    return {label: RequestTimes.decode(times) for label, times in found.items() if times}


def no_verdict(reason: str) -> Verdict:
    """Return the verdict of a run that ended without data. `reason` is one sentence."""
    return Verdict(VerdictName.DEGRADED, "Degraded", False, (reason,), (), {})
