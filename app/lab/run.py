"""One run: a plan against an engine, from its turn to its verdict."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.lab.engine import Engine
from app.lab.evidence import Watcher
from app.lab.generator import Generator, NoOutcome
from app.lab.ledger import cost
from app.lab.placement import Placement
from app.lab.summary import little_residual, series, summarise
from app.lab.thresholds import Threshold
from app.lab.verdict import Evidence, judge
from app.lab.views import RunView, Verdict
from app.load.meter import MeterReading, quantile_us
from app.load.outcome import Outcome
from app.load.plan import Plan

LAST_SECOND_S = 1.0
GROWN_BACKLOG = 1.5  # asked for and not answered: so many times more at the end than at the start is growth


@dataclass(frozen=True, slots=True)
class Progress:
    """A run in progress, as its strip and frames show it. Rates and percentiles are of the last second."""

    id: int
    state: str
    engine: str | None
    title: str
    phase: str
    progress: float
    elapsed_s: float
    total_s: float
    warmup_s: float
    offered_per_s: float | None
    achieved_per_s: float | None
    in_flight: int
    errors: int
    connections: int
    p50_us: float | None
    p99_us: float | None
    response_p99_us: float | None
    generator_utilisation: float | None


class Run:
    """A run that is queued or going. The lab drives it: `measure()`, with an engine that is ready."""

    def __init__(self, view: RunView, plan: Plan, thresholds: tuple[Threshold, ...]) -> None:
        self.view = view
        self.plan = plan
        self.thresholds = thresholds
        self.stop_asked = False
        self.done = asyncio.Event()
        self.series: dict[str, Any] = {"columns": (), "rows": []}
        self.outcome: Outcome | None = None
        self._generator: Generator | None = None
        self._readings: list[MeterReading] = []

    def stop(self) -> None:
        """End early; what was measured is kept and marked."""
        self.stop_asked = True
        if self._generator:
            self._generator.stop()

    async def measure(
        self, engine: Engine, placement: Placement, other_engines: int, measuring: Callable[[], None]
    ) -> None:
        """Offer the plan to the engine, watch, and judge; `measuring` is told when the warm-up is over.

        Raises NoOutcome if there is nothing to judge.
        """
        if self.stop_asked:
            return
        before = engine.cpus
        engine.pin(placement.engine_cpus)
        try:
            assert engine.port
            generator = Generator.spawn(self.plan, engine.reach, engine.port, placement.load_cpus)
            self._generator = generator
            watcher = Watcher(engine, generator, measuring)
            await watcher.run(generator.exited)
            self._conclude(generator, watcher, placement, other_engines)
        finally:
            if self._generator:
                self._read_meter()
                await self._generator.close()
            self._generator = None
            if engine.alive:
                engine.pin(before)

    def progress(self) -> Progress:
        """Where it stands, from the generator's meter."""
        now = self._read_meter()
        earlier = next((r for r in self._readings if now.at_ns - r.at_ns <= LAST_SECOND_S * 1e9), now)
        grown = now - earlier
        elapsed = (time.monotonic_ns() - now.started_ns) / 1e9 if now.started_ns else 0.0
        total = self.plan.total_s
        seconds = (now.at_ns - earlier.at_ns) / 1e9
        phases = ("connecting", "warmup", "measure", "drain", "done")

        def rate(count: int) -> float | None:
            return count / seconds if seconds > 0.1 else None

        return Progress(
            id=self.view.id, state=self.view.state, engine=self.view.engine, title=self.view.title,
            phase=phases[now.phase], progress=min(1.0, elapsed / total), elapsed_s=min(elapsed, total), total_s=total,
            warmup_s=self.plan.warmup_s, offered_per_s=rate(grown.intended) if self.plan.is_open else None,
            achieved_per_s=rate(grown.completed), in_flight=now.in_flight, errors=now.errors,
            connections=now.connections, p50_us=quantile_us(grown.service, 0.5),
            p99_us=quantile_us(grown.service, 0.99),
            response_p99_us=quantile_us(grown.response if self.plan.is_open else grown.service, 0.99),
            generator_utilisation=grown.cpu_ns / 1e9 / seconds / self.plan.shards if seconds > 0.1 else None,
        )  # fmt: skip

    def _read_meter(self) -> MeterReading:
        if self._generator is None:
            return self._readings[-1] if self._readings else MeterReading()
        now = self._generator.read()
        if not self._readings or now.at_ns > self._readings[-1].at_ns:
            self._readings.append(now)
        while len(self._readings) > 1 and now.at_ns - self._readings[0].at_ns > 2 * LAST_SECOND_S * 1e9:
            self._readings.pop(0)
        return now

    def _conclude(self, generator: Generator, watcher: Watcher, placement: Placement, other_engines: int) -> None:
        engine = watcher.engine
        try:
            self.outcome = generator.outcome()
        except NoOutcome:
            if self.stop_asked:
                return  # it was told to end before it could measure anything
            raise
        self.series = series(self.outcome, watcher.series, watcher.now.started_ns)
        summary, ledger = summarise(self.outcome), cost(watcher, self.outcome)
        died = generator.lost if engine.alive else f"{engine.id} {engine.exit.reason if engine.exit else 'ended.'}"
        verdict = judge(evidence(self.plan, self.outcome, watcher, placement, other_engines, died))
        self.view = replace(
            self.view, summary=summary, ledger=ledger, verdict=verdict,
            thresholds=tuple(threshold.check(summary, ledger, verdict) for threshold in self.thresholds),
        )  # fmt: skip


def evidence(
    plan: Plan, outcome: Outcome, watcher: Watcher, placement: Placement, other_engines: int, died: str | None
) -> Evidence:
    """Everything that the verdict rests on."""
    summary = summarise(outcome)
    begin, end = watcher.begin, watcher.end
    share = drops = None
    if begin and end and begin.process and end.process and end.process.at_ns > begin.process.at_ns:
        cpus = len(placement.engine_cpus) if placement.engine_cpus else (os.cpu_count() or 1)
        share = (end.process.cpu_ns - begin.process.cpu_ns) / (end.process.at_ns - begin.process.at_ns) / cpus
    if begin and end and begin.drops and end.drops:
        drops = end.drops.overflows - begin.drops.overflows + end.drops.drops - begin.drops.drops
    backlog = watcher.backlog
    return Evidence(
        is_open=plan.is_open,
        placement=placement.mode,
        think_time=plan.think_time_ms > 0,
        requests=outcome.requests,
        errors=sum(outcome.errors.values()) + outcome.dropped,
        generator_utilisation=outcome.utilisation if outcome.wall_s else None,
        late_share=outcome.late / outcome.intended if outcome.intended else None,
        rate_ratio=summary.rate_ratio,
        occupancy=watcher.occupancy,
        engine_cpu_share=share,
        backlog_grew=len(backlog) > 1 and backlog[-1] > GROWN_BACKLOG * max(backlog[0], plan.vus),
        little_residual=None if outcome.errors else little_residual(outcome),
        listen_drops=drops,
        other_engines=other_engines,
        died=died,
        stopped=outcome.stopped,
    )


def no_verdict(reason: str) -> Verdict:
    """For a run that ended without anything to judge."""
    return Verdict("degraded", "Degraded", False, (reason,), (), {})
