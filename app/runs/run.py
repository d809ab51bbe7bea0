"""One run: a plan against an engine, from its turn to its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.fleet.engine import Engine
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.cpu_placement import Placement
from app.plans.scenarios import SCENARIOS
from app.plans.thresholds import Threshold
from app.results.fitness import main_figure, unfit
from app.results.threshold_check import check
from app.results.verdict import of_search
from app.runs.capacity import CapacitySearch, Limits, Try
from app.runs.hot_swap import Relay
from app.runs.progress import LastSecond, Progress, progress
from app.runs.trial import Result, Trial
from app.schemas.capacity import Capacity
from app.schemas.result import Verdict
from app.schemas.run import RunView
from app.schemas.states import VerdictName
from app.trace.recording import Recording


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told of a run: that its warm-up is over, and (with a sentence) that a search has made a step."""

    measuring: Callable[[], None]
    stepped: Callable[[str], None]


class Run:
    """A run that is queued or going. The lab drives it: `measure()`, with an engine that is ready."""

    def __init__(self, view: RunView, plan: Plan, thresholds: tuple[Threshold, ...]) -> None:
        self.view = view
        self.plan = plan
        self.thresholds = thresholds
        self.stop_asked = False
        self.done = asyncio.Event()
        self.saving = (
            asyncio.Lock()
        )  # its view is being changed and saved: by who ends it, or gives it a label
        self.series: dict[str, Any] = {"columns": (), "rows": []}
        self.outcome: Outcome | None = None
        self.recording: Recording | None = None  # of its threads, if the plan asks for it
        self._trial: Trial | None = None
        self._search: CapacitySearch | None = None
        self._meter = LastSecond()

    def stop(self) -> None:
        """End early; what was measured is kept and marked."""
        self.stop_asked = True
        if self._trial:
            self._trial.stop()

    async def measure(
        self, engine: Engine, placement: Placement, others: int, limits: Limits, relay: Relay, told: Told
    ) -> None:
        """Offer the plan to the engine, watch, and judge. Raises NoOutcome if there is nothing to judge."""
        beside, figure = (
            len(self.view.beside),
            main_figure(SCENARIOS.get(self.view.scenario or ""), self.plan),
        )
        before = engine.cpus
        engine.pin(placement.engine_cpus)

        async def attempt(plan: Plan) -> Result | None:
            trial = Trial(plan, figure, engine, placement, others, relay, beside)
            return await self._attempt(trial, told.measuring)

        try:
            with engine.traced(self.plan.trace, shown=bool(beside or relay)) as self.recording:
                if self.plan.executor == "find-capacity":
                    result = await self._find(attempt, limits, told)
                else:
                    result = await attempt(self.plan)
        finally:
            if engine.alive:
                engine.pin(before)
        if result:
            await self._conclude(result)

    async def _attempt(self, trial: Trial, measuring: Callable[[], None]) -> Result | None:
        if self.stop_asked:
            return None
        self._trial, self._meter = trial, trial.meter
        try:
            return await trial.run(measuring)
        finally:
            self._trial = None

    async def _find(self, attempt: Try, limits: Limits, told: Told) -> Result | None:
        def stepped(capacity: Capacity) -> None:
            self.view = replace(self.view, capacity=capacity)
            step = capacity.steps[-1]
            told.stepped(f"{step.rate_per_s:,.6g} requests a second, trial {step.trial}: {step.because}")

        search = self._search = CapacitySearch(self.plan, limits, attempt, stepped)
        await search.run()
        self.view = replace(self.view, capacity=search.capacity)
        if search.best is None:
            return None
        verdict, found = of_search(search.best.verdict, search.capacity), search.capacity
        if found.kept_per_s is None or found.limited_by:
            verdict = unfit(verdict, ["kept_per_s"], found.limited_by or f"No rate kept {found.objective}.")
        return replace(search.best, verdict=verdict)

    def progress(self) -> Progress:
        """Where it stands, from the generator's meter."""
        view = self.view
        if self._trial:
            self._trial.look()
            view = replace(view, engine=self._trial.engine.id)  # of a relay: the one that serves now
        if self._search is None:
            return progress(view, self.plan, self._meter, None, self.plan.total_s)
        now = self._trial.plan if self._trial else self.plan
        return progress(view, now, self._meter, self._search.done, self._search.likely_s)

    async def _conclude(self, result: Result) -> None:
        self.outcome, self.series = result.outcome, result.series
        summary, ledger, verdict = result.summary, result.ledger, result.verdict
        # A percentile that no summary has is of the histograms of all kinds: 20 such thresholds take 60 ms.
        checked = await asyncio.to_thread(
            lambda: tuple(check(each, summary, ledger, verdict, result.outcome) for each in self.thresholds)
        )
        self.view = replace(
            self.view,
            summary=summary,
            ledger=ledger,
            verdict=verdict,
            marks=result.marks,
            notes=result.notes,
            legs=result.legs,
            thresholds=checked,
        )


def no_verdict(reason: str) -> Verdict:
    """For a run that ended without anything to judge."""
    return Verdict(VerdictName.DEGRADED, "Degraded", False, (reason,), (), {})
