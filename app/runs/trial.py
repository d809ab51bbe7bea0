"""One trial: a plan offered to an engine once, observed and judged.

A run has one trial, a capacity search several.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import LabError, NotNow
from app.fleet.engine import Engine
from app.fleet.failure_lines import last_exception
from app.hosts.port import HostPool
from app.load.protocol.meter import MEASURE, MeterReading
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.cpu_placement import REALTIME, Placement
from app.machine.pause import pause_processes
from app.machine.scheduling import batch_policy
from app.machine.syscalls import SystemCallCounter
from app.results.evidence import Conditions, evidence
from app.results.figures import all_figures
from app.results.fitness import assess_figures
from app.results.host_notes import host_notes
from app.results.ledger import cost
from app.results.notes import notes
from app.results.observation import Observation, marks
from app.results.process_cpu import process_shares
from app.results.series import series
from app.results.summary import responses_received, summarise
from app.results.verdict import judge
from app.runs.generator import Generator, GeneratorFailed
from app.runs.hot_swap import HotSwap, phases, swap_notes
from app.runs.progress import MeterWindow
from app.runs.watcher import Watcher
from app.schemas.host import HostUse
from app.schemas.result import Ledger, ProcessShare, Summary, Verdict
from app.schemas.run import HotSwapPhase, TimelineEvent

SETTLE_TIMEOUT_S = 1.0
SILENCE_MAX_S = 10.0  # without an update of the generator's meter
SILENCE_MAX_PER_S = (
    0.05  # per second of the plan: at its end, a shard makes a histogram of each second (10 ms)
)
POLL_S = 0.02  # 50 samples per second cost the control plane 1 % of a core at 64 threads


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """The server under test, and the conditions of the trial."""

    engine: Engine
    placement: Placement
    hosts: HostPool
    figure: str  # name of the main figure
    other_engines: int  # alive besides the engine under test
    concurrent_runs: int  # against other engines
    hot_swap: HotSwap


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The measurement of a trial, and its verdict."""

    outcome: Outcome
    summary: Summary
    ledger: Ledger | None
    verdict: Verdict
    series: dict[str, Any]
    marks: tuple[TimelineEvent, ...]
    notes: tuple[str, ...]
    phases: tuple[HotSwapPhase, ...]  # of a hot swap
    processes: tuple[ProcessShare, ...]  # of an external server
    hosts: tuple[HostUse, ...]  # that generated the load; empty: this machine did


class Trial:
    """Offers one plan to one engine or, in a hot swap, to several in turn. Event loop only.

    engine: the engine that serves now. meter: the latest readings of the generator's meter.
    """

    def __init__(self, plan: Plan, setup: TrialSetup, on_measuring: Callable[[], None]) -> None:
        """`on_measuring` is called when the warm-up is over."""
        self.plan = plan
        self.meter = MeterWindow()
        self.engine = setup.engine
        self._setup = setup
        self._placement = setup.placement
        self._hot_swap = setup.hot_swap
        self._on_measuring = on_measuring
        self._generator: Generator | None = None
        self._watchers: list[Watcher] = []
        self._pause: asyncio.Task[None] | None = None
        self._swap: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self) -> TrialResult | None:
        """Return the result; None: stopped before anything was measured.

        Raises GeneratorFailed, also if a host of the cluster cannot be used, and OSError.
        """
        engine, plan = self.engine, self.plan
        async with contextlib.AsyncExitStack() as stack:
            call_counter = await SystemCallCounter.attach(engine.pids) if plan.trace else None
            if call_counter:
                stack.push_async_callback(call_counter.close)

            def on_measuring() -> None:
                if not plan.stall_ms:  # the control plane itself must begin and end a server pause in time
                    stack.enter_context(batch_policy)
                self._on_measuring()

            assert engine.port
            self._placement = placement = await self._with_hosts(engine.connect_host, engine.port)
            watcher = Watcher(engine, on_measuring, call_counter)
            await self._settle(lambda: watcher.is_idle)
            watcher.begin()
            self._watchers = [watcher]
            realtime = plan.is_all_open and placement.load_priority == REALTIME
            self._generator = generator = await Generator.spawn(
                plan, engine.connect_host, engine.port, self._setup.hosts, placement, realtime=realtime
            )
            stack.push_async_callback(generator.close)
            stack.callback(self._forget_generator)
            stack.push_async_callback(self._cancel_tasks)
            return await self._measure(generator, watcher)

    async def _with_hosts(self, host: str, port: int) -> Placement:
        """Return the placement with clocks and round trips of its hosts, which change with time."""
        placement = self._setup.placement
        names = [each.name for each in placement.hosts]
        try:
            return replace(placement, hosts=await self._setup.hosts.prepare(names, host, port))
        except NotNow as error:
            raise GeneratorFailed(error.detail) from error

    async def _measure(self, generator: Generator, watcher: Watcher) -> TrialResult | None:
        try:
            if self._stopped:
                generator.stop()
            await self._watch(generator)
            # In a thread: merging the outcomes of shards adds two histograms for each second.
            outcome = await asyncio.to_thread(generator.outcome)
            if not outcome.has_measured:
                return None
            if watcher.call_counter:
                watcher.system_calls = await watcher.call_counter.finish()
            await self._settle(
                lambda: self._has_counted(responses_received(outcome)) and self._watcher.is_idle
            )
            self.meter.add(self._watcher.latest)
            self._count_responses()
            observations = [each.observation() for each in self._watchers]
            # In a thread: 600 s take 2.7 s of CPU. Engine and generator have ended or are idle by now.
            return await asyncio.to_thread(self._result, outcome, generator.lost_shard, observations)
        except GeneratorFailed:
            if self._stopped:
                return None
            if watcher.engine.exit:  # the engine died, and the generator was stopped before it had begun
                raise GeneratorFailed(f"{watcher.engine.id} {watcher.engine.exit.reason}") from None
            raise

    def _forget_generator(self) -> None:
        self._generator = None

    async def _cancel_tasks(self) -> None:
        """Cancel a server pause or a hot swap in progress. Raises what they raised."""
        tasks = [task for task in (self._pause, self._swap) if task]
        for task in tasks:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception):
                raise error

    def stop(self) -> None:
        """End early; the result covers what was measured."""
        self._stopped = True
        if self._generator:
            self._generator.stop()

    def sample(self) -> None:
        """Read the generator's meter."""
        if self._generator:
            self.meter.add(self._generator.read())

    @property
    def _silence_max_s(self) -> float:
        return SILENCE_MAX_S + SILENCE_MAX_PER_S * self.plan.total_s

    @property
    def _watcher(self) -> Watcher:
        """The watcher of the engine that serves now."""
        return self._watchers[-1]

    async def _watch(self, generator: Generator) -> None:
        while not generator.exited.done():
            latest = generator.read()
            batch_policy.yield_cpu()
            self._watcher.sample(latest)
            if generator.silent_s > self._silence_max_s:
                generator.kill(f"The load generator was killed: no progress for {self._silence_max_s:.0f} s.")
            elif not self.engine.alive:
                generator.stop()
            elif self._pause is None and self.plan.stall_ms and self._is_pause_time():
                self._pause = asyncio.create_task(self._pause_engine(self._watcher))
            elif self._is_swap_due(latest):
                self._swap = asyncio.create_task(self._swap_engine(generator))
            await asyncio.wait([generator.exited], timeout=POLL_S)
        self._watcher.end(generator.read())

    def _is_swap_due(self, latest: MeterReading) -> bool:
        is_swapping = self._swap is not None and not self._swap.done()
        return not is_swapping and self._hot_swap.is_due(latest, self.plan.duration_s)

    async def _swap_engine(self, generator: Generator) -> None:
        """Start the successor on the port, then drain the engine that serves."""
        before, began_ns = self._watcher, time.monotonic_ns()
        assert self.engine.port
        try:
            successor = await self._hot_swap.start_next(self.engine.port)
        except (LabError, OSError) as error:
            reason = error.detail if isinstance(error, LabError) else error
            before.record_event(f"hot swap failed: {reason}")
            return
        before.end(generator.read())
        self.engine = successor
        self._watchers.append(after := Watcher(successor, lambda: None))
        after.begin_successor(began_ns)
        after.record_event(f"{successor.id} takes over, {before.engine.id} drains")
        await self._hot_swap.drain(before.engine)
        after.alone_from_ns = time.monotonic_ns()

    def _is_pause_time(self) -> bool:
        """Return whether a server pause must begin, so that it lies in the middle of the measured time."""
        latest = self._watcher.latest
        begin_s = self.plan.duration_s / 2 - self.plan.stall_ms / 2000
        return latest.phase == MEASURE and (latest.at_ns - latest.measured_from_ns) / 1e9 >= begin_s

    async def _pause_engine(self, watcher: Watcher) -> None:
        began = (time.monotonic_ns(), f"server paused for {self.plan.stall_ms:,} ms")
        watcher.events.append(began)
        try:
            watcher.stalled_ns = await pause_processes(self.engine.pids, self.plan.stall_ms)
        except OSError as error:
            watcher.events.remove(began)
            watcher.record_event(f"server pause failed: {error}")

    async def _settle(self, is_settled: Callable[[], bool]) -> None:
        """Wait, at most for 1 s: a thread of the engine stores its counters only when it goes to wait."""
        deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
        while not is_settled() and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)

    def _has_counted(self, responses: int) -> bool:
        """Return whether all engines together have counted so many responses; true if one does not count.

        Each successor has answered one health check.
        """
        counted = self._count_responses()
        return counted is None or counted - (len(self._watchers) - 1) >= responses

    def _count_responses(self) -> int | None:
        """Return the responses of all engines, by their own count; None if one of them does not count."""
        counts = [watcher.count_responses() for watcher in self._watchers]
        return None if None in counts else sum(count for count in counts if count is not None)

    def _logged(self, outcome: Outcome) -> Iterator[str]:
        """Yield the last exception in the engine's log, if requests failed."""
        exception = last_exception(self.engine.log) if any(each.errors for each in outcome.loads) else None
        if exception:
            yield f"The last exception in the log of {self.engine.id}: {exception.strip()}"

    def _result(
        self, outcome: Outcome, lost_shard: str | None, observations: Sequence[Observation]
    ) -> TrialResult:
        """Thread-safe: reads only what no longer changes."""
        plan, setup, last = self.plan, self._setup, observations[-1]
        summary = summarise(outcome)
        conditions = Conditions(
            self._placement, setup.other_engines, lost_shard, self._hot_swap.requested, setup.concurrent_runs
        )
        seen = evidence(plan, outcome, summary, observations, conditions)
        figures = all_figures(summary, setup.figure == "kept_per_s")
        points = [point for each in observations for point in each.series]
        return TrialResult(
            outcome=outcome,
            summary=summary,
            ledger=None if len(observations) > 1 else cost(last, outcome),
            verdict=assess_figures(judge(seen), seen, summary, figures, setup.figure),
            series=series(outcome, points, last.started_ns),
            marks=marks(observations, last.started_ns),
            notes=(
                *host_notes(self._placement.hosts, summary),
                *notes(plan, outcome, summary, last.stalled_ns),
                *swap_notes(plan, observations),
                *self._logged(outcome),
            ),
            phases=phases(observations, outcome, last.started_ns),
            processes=process_shares(last),
            hosts=self._placement.hosts,
        )
