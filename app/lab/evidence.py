"""Evidence: what the lab itself sees of an engine while a run measures it.

`Watcher` polls the generator's meter, reads everything at both edges of the measured window, the threads' states
in between, and one row of the series each second.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from app.lab.child import Exit
from app.lab.engine import Engine
from app.lab.generator import Generator
from app.lab.proc import ListenDrops, ProcessReading, SwitchReading, read_listen_drops
from app.load.meter import DONE, DRAIN, MEASURE, MeterReading
from engines.common.board import RESTING
from engines.common.board_reader import Reading

POLL_S = 0.02  # 50 looks a second: at 64 threads they cost the control plane 1 % of a core
FEW_ROWS = 256  # beyond so many threads their states are read once a second
SERIES_S = 1.0


@dataclass(frozen=True, slots=True)
class Edge:
    """Everything at one end of the measured window."""

    at_ns: int
    board: Reading
    process: ProcessReading | None
    switches: SwitchReading | None
    drops: ListenDrops | None

    @classmethod
    def take(cls, engine: Engine) -> Edge:
        assert engine.board
        process = engine.process()
        return cls(time.monotonic_ns(), engine.board.read(), process, engine.switches(), read_listen_drops())


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The engine's side of one second; the generator's side comes with its outcome."""

    at_ns: int
    connections: int
    threads: int | None
    cpu_percent: float | None
    rss_bytes: int | None
    queue_depth: int


@dataclass
class Watcher:
    """Watches one engine through one run. `run()` until the generator is done, then read the fields."""

    engine: Engine
    generator: Generator
    measuring: Callable[[], None]  # told when the warm-up is over
    begin: Edge | None = None
    end: Edge | None = None
    rest: ProcessReading | None = None  # before any connection of the run
    rss_peak: int | None = None
    threads_peak: int | None = None
    queue_peak: int = 0
    looks: int = 0
    series: list[SeriesPoint] = field(default_factory=list)
    now: MeterReading = field(default_factory=MeterReading)
    backlog: list[int] = field(default_factory=list)  # asked for and not answered, once a measured second
    _busy: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _seen: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    async def run(self, generator_alive: asyncio.Future[Exit]) -> None:
        """Watch until the load is over or the generator is gone."""
        self.rest = self.engine.process()
        next_point_s = time.monotonic()
        before = self.rest
        while not generator_alive.done():
            self.now = self.generator.read()
            phase = self.now.phase
            if phase == MEASURE and self.begin is None:
                self.begin = Edge.take(self.engine)
                self.measuring()
            if phase in (DRAIN, DONE) and self.end is None and self.begin is not None:
                self.end = Edge.take(self.engine)
            if phase == MEASURE:
                self._look()
            if self.now.started_ns and time.monotonic() >= next_point_s:
                before = self._point(before)
                next_point_s = max(next_point_s + SERIES_S, time.monotonic())
            await asyncio.wait([generator_alive], timeout=POLL_S)
        self.now = self.generator.read()
        if self.begin is not None and self.end is None:
            self.end = Edge.take(self.engine)

    def _look(self) -> None:
        """Which threads have something to do, right now."""
        assert self.engine.board
        if self.begin and len(self.begin.board.threads) > FEW_ROWS and self.looks % 50:
            self.looks += 1
            return
        self.looks += 1
        for thread in self.engine.board.read().threads:
            key = (thread.role, thread.slot)
            self._seen[key] += 1
            self._busy[key] += thread.state not in RESTING

    @property
    def occupancy(self) -> dict[str, float]:
        """Share of looks at which a thread of each role was occupied: the mean over the threads of the role."""
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for (role, slot), seen in self._seen.items():
            shares[role].append(self._busy[role, slot] / seen)
        return {role: sum(each) / len(each) for role, each in shares.items()}

    def _point(self, before: ProcessReading | None) -> ProcessReading | None:
        assert self.engine.board
        process = self.engine.process() if self.engine.alive else None
        board = self.engine.board.read()
        cpu = None
        if process and before and process.at_ns > before.at_ns:
            cpu = 100 * max(0, process.cpu_ns - before.cpu_ns) / (process.at_ns - before.at_ns)
        if process:
            self.rss_peak = max(self.rss_peak or 0, process.rss_bytes)
            self.threads_peak = max(self.threads_peak or 0, process.threads)
        self.queue_peak = max(self.queue_peak, board.queue_depth)
        if self.now.phase == MEASURE:
            self.backlog.append(self.now.intended - self.now.completed - self.now.errors)
        self.series.append(
            SeriesPoint(
                time.monotonic_ns(),
                sum(board.connections.values()),
                process.threads if process else None,
                cpu,
                process.rss_bytes if process else None,
                board.queue_depth,
            )
        )
        return process
