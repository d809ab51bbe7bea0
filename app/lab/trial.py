"""One trial: a plan offered to an engine once, watched and judged. A run has one, a search for capacity several."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.lab.engine import Engine
from app.lab.evidence import evidence
from app.lab.generator import Generator, NoOutcome
from app.lab.ledger import cost
from app.lab.notes import notes
from app.lab.placement import Placement
from app.lab.progress import LastSecond
from app.lab.stall import stall
from app.lab.summary import answers, series, summarise
from app.lab.verdict import judge
from app.lab.views import Ledger, Mark, Summary, Verdict
from app.lab.watcher import Watcher
from app.load.meter import MEASURE
from app.load.outcome import Outcome
from app.load.plan import Plan

SETTLED_WITHIN_S = 1.0
POLL_S = 0.02  # 50 looks a second: at 64 threads they cost the control plane 1 % of a core


@dataclass(frozen=True, slots=True)
class Result:
    """All that a trial came to."""

    outcome: Outcome
    summary: Summary
    ledger: Ledger | None
    verdict: Verdict
    series: dict[str, Any]
    marks: tuple[Mark, ...]
    notes: tuple[str, ...]


class Trial:
    """Carries one plan out. `measuring` is told when the warm-up is over."""

    def __init__(self, plan: Plan, engine: Engine, placement: Placement, others: int) -> None:
        self.plan = plan
        self.meter = LastSecond()
        self._engine = engine
        self._placement = placement
        self._others = others
        self._generator: Generator | None = None
        self._stall: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, measuring: Callable[[], None]) -> Result | None:
        """To its end; None if it was stopped before it could measure anything. Raises NoOutcome."""
        engine, plan = self._engine, self.plan
        assert engine.port
        self._generator = generator = Generator.spawn(plan, engine.reach, engine.port, self._placement.load_cpus)
        watcher = Watcher(engine, generator, measuring)
        try:
            if self._stopped:
                generator.stop()
            await self._watch(generator, watcher)
            outcome = generator.outcome()
            await self._settle(watcher, answers(outcome))
            return self._result(outcome, generator.lost, watcher)
        except NoOutcome:
            if self._stopped:
                return None
            raise
        finally:
            await self._end_stall()
            self._generator = None
            await generator.close()

    def stop(self) -> None:
        """End early; what was measured is kept."""
        self._stopped = True
        if self._generator:
            self._generator.stop()

    def look(self) -> None:
        """Read the meter, for who asks how it goes."""
        if self._generator:
            self.meter.take(self._generator.read())

    async def _watch(self, generator: Generator, watcher: Watcher) -> None:
        watcher.begin()
        while not generator.exited.done():
            watcher.look(generator.read())
            if not self._engine.alive:
                generator.stop()  # nobody is there to answer any more
            elif self._stall is None and self.plan.stall_ms and self._is_middle(watcher):
                self._stall = asyncio.create_task(self._stall_engine(watcher))
            await asyncio.wait([generator.exited], timeout=POLL_S)
        watcher.end(generator.read())

    def _is_middle(self, watcher: Watcher) -> bool:
        now = watcher.now
        before_s = self.plan.duration_s / 2 - self.plan.stall_ms / 2000
        return now.phase == MEASURE and (now.at_ns - now.measured_from_ns) / 1e9 >= before_s

    async def _stall_engine(self, watcher: Watcher) -> None:
        watcher.mark(f"stalled for {self.plan.stall_ms:,} ms")
        watcher.stalled_ns = await stall(self._engine.processes, self.plan.stall_ms)

    async def _end_stall(self) -> None:
        if self._stall:
            self._stall.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._stall

    async def _settle(self, watcher: Watcher, counted: int) -> None:
        """A thread of the engine stores its counters when it goes to wait: give it the time to get there."""
        deadline_s = time.monotonic() + SETTLED_WITHIN_S
        while watcher.count_answers() < counted and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)

    def _result(self, outcome: Outcome, lost: str | None, watcher: Watcher) -> Result:
        self.meter.take(watcher.now)
        summary = summarise(outcome)
        seen = evidence(self.plan, outcome, summary, watcher, self._placement, self._others, lost)
        return Result(
            outcome=outcome, summary=summary, ledger=cost(watcher, outcome), verdict=judge(seen),
            series=series(outcome, watcher.series, watcher.now.started_ns), marks=watcher.marks(),
            notes=notes(self.plan, outcome, summary, watcher.stalled_ns),
        )  # fmt: skip
