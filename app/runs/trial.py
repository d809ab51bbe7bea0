"""One trial: a plan offered to an engine once, watched and judged. A run has one, a search for capacity several."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import LabError
from app.fleet.engine import Engine
from app.load.protocol.meter import MEASURE
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine import scheduling
from app.machine.cpu_placement import REALTIME, Placement
from app.machine.pause import pause_processes
from app.machine.syscalls import SystemCallCounter
from app.results.evidence import Conditions, evidence
from app.results.figures import all_figures
from app.results.fitness import assess_figures
from app.results.ledger import cost
from app.results.observation import Observation, marks
from app.results.remarks import remarks
from app.results.summary import responses_received, series, summarise
from app.results.verdict import judge
from app.runs.generator import Generator, NoOutcome
from app.runs.hot_swap import HotSwap, phases, swap_remarks
from app.runs.progress import LastSecond
from app.runs.watcher import Watcher
from app.schemas.result import Ledger, Summary, Verdict
from app.schemas.run import HotSwapPhase, TimelineEvent

SETTLED_WITHIN_S = 1.0
SILENT_MAX_S, SILENT_MAX_PER_S = 10.0, 0.05
POLL_S = 0.02  # 50 looks a second: at 64 threads they cost the control plane 1 % of a core


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """What a trial runs against and beside. `figure`: the one that the run is read for."""

    engine: Engine
    placement: Placement
    figure: str
    other_engines: int  # alive besides the one under test
    concurrent_runs: int  # at the same time, against other engines
    hot_swap: HotSwap


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial measured, and how it was judged."""

    outcome: Outcome
    summary: Summary
    ledger: Ledger | None
    verdict: Verdict
    series: dict[str, Any]
    marks: tuple[TimelineEvent, ...]
    remarks: tuple[str, ...]
    phases: tuple[HotSwapPhase, ...]  # of a hot swap


class Trial:
    """Offers one plan to one engine (or, in a hot swap, to several in turn). Event loop only."""

    def __init__(self, plan: Plan, setup: TrialSetup, on_measuring: Callable[[], None]) -> None:
        """`on_measuring` is called when the warm-up is over."""
        self.plan = plan
        self.meter = LastSecond()
        self.engine = setup.engine  # the one that serves now
        self._setup = setup
        self._hot_swap = setup.hot_swap
        self._on_measuring = on_measuring
        self._generator: Generator | None = None
        self._watchers: list[Watcher] = []
        self._pause: asyncio.Task[None] | None = None
        self._swap: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self) -> TrialResult | None:
        """Return the result; None if the trial was stopped before anything was measured. Raises NoOutcome."""
        engine, plan = self.engine, self.plan
        async with (
            contextlib.AsyncExitStack() as held
        ):  # whatever fails, the rest of it is ended all the same
            calls = await SystemCallCounter.attach(engine.pids) if plan.trace else None
            if calls:
                held.push_async_callback(calls.close)
            watcher = Watcher(engine, self._on_measuring, calls)
            await self._settle(lambda: watcher.at_rest)
            watcher.begin()
            self._watchers = [watcher]
            assert engine.port
            self._generator = generator = Generator.spawn(
                plan,
                engine.connect_host,
                engine.port,
                self._setup.placement.load_cpus,
                realtime=plan.is_open and self._setup.placement.load_priority == REALTIME,
            )
            held.push_async_callback(generator.close)
            held.callback(self._forget_generator)
            held.push_async_callback(self._end_jobs)
            return await self._carry_out(generator, watcher)

    async def _carry_out(self, generator: Generator, watcher: Watcher) -> TrialResult | None:
        try:
            if self._stopped:
                generator.stop()
            await self._watch(generator)
            outcome = await asyncio.to_thread(
                generator.outcome
            )  # of shards it adds two histograms for each second
            if not outcome.has_measured:
                return None
            if watcher.calls:
                watcher.system_calls = await watcher.calls.finish()
            await self._settle(
                lambda: self._answered() >= responses_received(outcome) and self._watcher.at_rest
            )
            self.meter.add(self._watcher.now)
            # 600 s take 2.7 s of CPU: two histograms a second. What watches and what is watched have ended by now.
            self._answered()
            observations = [each.observation() for each in self._watchers]
            return await asyncio.to_thread(self._result, outcome, generator.lost, observations)
        except NoOutcome:
            if self._stopped:
                return None
            if watcher.engine.exit:  # and so the generator was ended before it had begun
                raise NoOutcome(f"{watcher.engine.id} {watcher.engine.exit.reason}") from None
            raise

    def _forget_generator(self) -> None:
        self._generator = None

    async def _end_jobs(self) -> None:
        """Call off what still goes on beside the load."""
        jobs = [job for job in (self._pause, self._swap) if job]
        for job in jobs:
            job.cancel()
        for error in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(error, Exception):
                raise error

    def stop(self) -> None:
        """End early; what was measured is kept."""
        self._stopped = True
        if self._generator:
            self._generator.stop()

    def sample(self) -> None:
        """Read the generator's meter."""
        if self._generator:
            self.meter.add(self._generator.read())

    @property
    def _patience_s(self) -> float:
        """How long the generator may be silent: at its end it makes a histogram of each second, some 10 ms each."""
        return SILENT_MAX_S + SILENT_MAX_PER_S * self.plan.total_s

    @property
    def _watcher(self) -> Watcher:
        """Of the engine that serves now."""
        return self._watchers[-1]

    async def _watch(self, generator: Generator) -> None:
        while not generator.exited.done():
            now = generator.read()
            scheduling.yield_cpu()
            self._watcher.look(now)
            if generator.silent_s() > self._patience_s:
                generator.kill(f"The load generator did nothing for {self._patience_s:.0f} s, and was ended.")
            elif not self.engine.alive:
                generator.stop()  # nobody is there to answer any more
            elif self._pause is None and self.plan.stall_ms and self._is_middle():
                self._pause = asyncio.create_task(self._pause_engine(self._watcher))
            elif (self._swap is None or self._swap.done()) and self._hot_swap.is_due(
                now, self.plan.duration_s
            ):
                self._swap = asyncio.create_task(self._hand_over(generator))
            await asyncio.wait([generator.exited], timeout=POLL_S)
        self._watcher.end(generator.read())

    async def _hand_over(self, generator: Generator) -> None:
        """The next engine of the relay takes the port over, and the one that serves drains."""
        before, began_ns = self._watcher, time.monotonic_ns()
        assert self.engine.port
        try:
            follower = await self._hot_swap.next_on(self.engine.port)
        except (LabError, OSError) as error:
            before.mark(f"nobody took over: {error.detail if isinstance(error, LabError) else error}")
            return
        before.end(generator.read())
        self.engine = follower
        self._watchers.append(after := Watcher(follower, lambda: None))
        after.take_over(began_ns)
        after.mark(f"{follower.id} takes over, {before.engine.id} drains")
        await self._hot_swap.release(before.engine)
        after.alone_from_ns = time.monotonic_ns()

    def _is_middle(self) -> bool:
        now = self._watcher.now
        before_s = self.plan.duration_s / 2 - self.plan.stall_ms / 2000
        return now.phase == MEASURE and (now.at_ns - now.measured_from_ns) / 1e9 >= before_s

    async def _pause_engine(self, watcher: Watcher) -> None:
        began = (time.monotonic_ns(), f"stalled for {self.plan.stall_ms:,} ms")
        watcher.happened.append(began)
        try:
            watcher.stalled_ns = await pause_processes(self.engine.pids, self.plan.stall_ms)
        except OSError as error:
            watcher.happened.remove(began)
            watcher.mark(f"could not be stalled: {error}")

    async def _settle(self, settled: Callable[[], bool]) -> None:
        """A thread of the engine stores its counters when it goes to wait: give it the time to get there."""
        deadline_s = time.monotonic() + SETTLED_WITHIN_S
        while not settled() and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)

    def _answered(self) -> int:
        """What all engines say; each that took over was asked once, by the lab, whether it serves."""
        return sum(watcher.count_answers() for watcher in self._watchers) - (len(self._watchers) - 1)

    def _result(self, outcome: Outcome, lost: str | None, observations: Sequence[Observation]) -> TrialResult:
        """From any thread: reads only what does not change any more."""
        last = observations[-1]
        started_ns = last.started_ns
        summary = summarise(outcome)
        setup = self._setup
        conditions = Conditions(
            setup.placement, setup.other_engines, lost, self._hot_swap.asked, setup.concurrent_runs
        )
        seen = evidence(self.plan, outcome, summary, observations, conditions)
        figures = all_figures(summary, self._setup.figure == "kept_per_s")
        points = [point for each in observations for point in each.series]
        return TrialResult(
            outcome=outcome,
            summary=summary,
            ledger=None if len(observations) > 1 else cost(last, outcome),
            verdict=assess_figures(judge(seen), seen, summary, figures, self._setup.figure),
            series=series(outcome, points, started_ns),
            marks=marks(observations, started_ns),
            remarks=(
                *remarks(self.plan, outcome, summary, last.stalled_ns),
                *swap_remarks(self.plan, observations),
            ),
            phases=phases(observations, outcome, started_ns),
        )
