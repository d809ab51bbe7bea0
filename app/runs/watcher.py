"""What the lab itself sees of an engine while a trial goes.

Everything at both edges of the measured window, the threads' states in between (50 looks a second, 5 at many threads),
one row of the series each second, and what happened at one instant: marks.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from app.fleet.engine import Engine
from app.load.protocol.meter import DONE, DRAIN, MEASURE, WARMUP, MeterReading
from app.machine.proc import ProcessReading, read_cores, read_listen_drops
from app.machine.syscalls import SystemCallCounter
from app.results.observation import Edge, Observation, SeriesPoint
from app.schemas.run import WARM_UP_ENDS
from engines.common.board.board import ENDED, IDLE_STATES

FEW_ROWS = 256  # beyond so many threads their states are read each tenth time: 2 ms for 1,000 of them
SELDOM = 10
SECOND_NS = 1_000_000_000


@dataclass
class Watcher:
    """Watches one engine through one trial: `begin`, `look` again and again, `end`; then read the fields."""

    engine: Engine
    measuring: Callable[[], None]  # told when the warm-up is over
    calls: SystemCallCounter | None = None  # counts in the measured window
    system_calls: int | None = None
    first: Edge | None = None  # of the measured window
    last: Edge | None = None
    rest: ProcessReading | None = None  # before any connection of the trial
    answered: int = (
        0  # requests that the engine has answered in this trial, from its first connection to its last
    )
    rss_peak: int | None = None
    threads_peak: int | None = None
    looks: int = 0  # at the threads, in the measured window
    stalled_ns: int = 0
    series: list[SeriesPoint] = field(default_factory=list)
    now: MeterReading = field(default_factory=MeterReading)
    in_flight: list[int] = field(default_factory=list)  # sent and not answered, once a measured second
    begun_ns: int = 0
    alone_from_ns: int = 0  # since then its engine serves alone
    _busy: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _seen: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    happened: list[tuple[int, str]] = field(default_factory=list)  # monotonic ns, and what
    lost: str | None = None  # a sentence, if one of its processes ended and it did not
    _processes: frozenset[int] = frozenset()
    _answered_before: int = 0
    _second: tuple[int, int] | None = None
    _chances: int = 0  # to look at the threads
    _roles: list[str] = field(default_factory=list)  # by slot, as of the last second
    _before: ProcessReading | None = None
    _died: bool = False

    def begin(self) -> None:
        """Before the load generator has opened anything."""
        assert self.engine.board
        self.begun_ns = self.alone_from_ns = time.monotonic_ns()
        self.rest = self._before = self.engine.read_process()
        self._answered_before = self.engine.board.read().requests
        self._processes = frozenset(self.engine.pids)

    def take_over(self, begun_ns: int) -> None:
        """Instead of `begin`, for the next engine of a relay: it has served since its start, with another one."""
        self.begun_ns = begun_ns
        self.rest = self._before = self.engine.read_process()
        self._processes = frozenset(self.engine.pids)

    def look(self, now: MeterReading) -> None:
        """Take the generator's newest numbers, and look at the engine."""
        self.now = now
        if now.phase == MEASURE and self.first is None:
            self.first = take_edge(self.engine)
            if self.calls:
                self.calls.start()
            if now.measured_from_ns > max(
                now.started_ns, self.begun_ns
            ):  # of a relay, only the first one saw it
                self.mark(WARM_UP_ENDS, now.measured_from_ns)
            self.measuring()
        if now.phase in (DRAIN, DONE) and self.last is None and self.first is not None:
            self.last = take_edge(self.engine)
            if self.calls:
                self.calls.stop()
        if now.phase == MEASURE:
            self._look_at_threads()
        self._look_at_processes()
        self._follow_seconds()

    def end(self, now: MeterReading) -> None:
        """The generator is gone."""
        self.now = now
        self._look_at_processes()
        self._follow_seconds()
        if self.first is not None and self.last is None:
            self.last = take_edge(self.engine)

    @property
    def at_rest(self) -> bool:
        """Whether no thread has anything to do, and so all have stored what they counted."""
        assert self.engine.board
        return not self.engine.alive or all(state in IDLE_STATES for state in self.engine.board.states())

    def count_answers(self) -> int:
        """What the engine says it has answered since the beginning."""
        assert self.engine.board
        self.answered = self.engine.board.read().requests - self._answered_before
        return self.answered

    def mark(self, text: str, at_ns: int | None = None) -> None:
        self.happened.append((at_ns or time.monotonic_ns(), text))

    @property
    def occupancy(self) -> dict[str, float]:
        """Share of looks at which a thread of each role was occupied: the mean over the threads of the role."""
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for (role, slot), seen in self._seen.items():
            shares[role].append(self._busy[role, slot] / seen)
        return {role: sum(each) / len(each) for role, each in shares.items()}

    def observation(self) -> Observation:
        """Return what has been observed so far, as a value that does not change any more."""
        engine = self.engine
        return Observation(
            engine=engine.id,
            model=engine.model.name,
            model_title=engine.model.title,
            died=None if engine.alive else f"{engine.id} {engine.exit.reason if engine.exit else 'ended.'}",
            stopped=engine.state == "stopped",
            lost=self.lost,
            first=self.first,
            last=self.last,
            before=self.rest,
            answered=self.answered,
            system_calls=self.system_calls,
            rss_peak=self.rss_peak,
            threads_peak=self.threads_peak,
            samples=self.looks,
            occupancy=self.occupancy,
            in_flight=tuple(self.in_flight),
            series=tuple(self.series),
            happened=tuple(self.happened),
            stalled_ns=self.stalled_ns,
            started_ns=self.now.started_ns,
            begun_ns=self.begun_ns,
            alone_from_ns=self.alone_from_ns,
        )

    def _look_at_threads(self) -> None:
        """Which threads have something to do, right now."""
        assert self.engine.board
        self._chances += 1
        if self.first and len(self.first.board.threads) > FEW_ROWS and self._chances % SELDOM:
            return
        self.looks += 1
        states = self.engine.board.states()
        if len(states) != len(self._roles):
            self._roles = self.engine.board.roles()
        for slot, (state, role) in enumerate(zip(states, self._roles, strict=False)):
            if state != ENDED:
                self._seen[role, slot] += 1
                self._busy[role, slot] += state not in IDLE_STATES

    def _look_at_processes(self) -> None:
        if not self.engine.alive:
            if not self._died:
                self._died = True
                self.mark(f"{self.engine.id} {self.engine.exit.reason if self.engine.exit else 'ended.'}")
            return
        processes = frozenset(self.engine.pids)
        if gone := self._processes - processes:
            self._lose(len(gone))
        if new := processes - self._processes:
            self.mark("worker process replaced" if len(new) == 1 else f"{len(new)} worker processes replaced")
        self._processes = processes

    def _lose(self, number: int) -> None:
        """So many of its processes have ended, which no run asks them to."""
        what = "a worker process" if number == 1 else f"{number} worker processes"
        self.mark(f"{what} ended")
        after_s = (time.monotonic_ns() - (self.now.started_ns or self.begun_ns)) / 1e9
        said = f"{what[:1].upper()}{what[1:]} of {self.engine.id} ended {after_s:.1f} s after the load began."
        self.lost = self.lost or said

    def _follow_seconds(self) -> None:
        """A point at each edge of the generator's seconds, which begin anew with each phase."""
        now = self.now
        if not now.started_ns:
            return
        began_ns = {WARMUP: now.started_ns, MEASURE: now.measured_from_ns}.get(now.phase, now.measured_to_ns)
        second = (now.phase, (now.at_ns - began_ns) // SECOND_NS)
        if second != self._second:
            self._second = second
            self._point()

    def _point(self) -> None:
        assert self.engine.board
        process, before = (self.engine.read_process() if self.engine.alive else None), self._before
        board = self.engine.board.read()
        self._roles = self.engine.board.roles()  # a slot may be another thread's by now
        cpu = None
        if process and before and process.at_ns > before.at_ns:
            cpu = 100 * max(0, process.cpu_ns - before.cpu_ns) / (process.at_ns - before.at_ns)
        if process:
            self.rss_peak = max(self.rss_peak or 0, process.rss_bytes)
            self.threads_peak = max(self.threads_peak or 0, process.threads)
        if self.now.phase == MEASURE:
            self.in_flight.append(self.now.in_flight)
        self._before = process
        at_ns = time.monotonic_ns()
        self.series.append(
            SeriesPoint(
                before.at_ns if before else at_ns,
                at_ns,
                sum(board.connections.values()),
                process.threads if process else None,
                cpu,
                process.rss_bytes if process else None,
                board.queue_depth,
            )
        )


def take_edge(engine: Engine) -> Edge:
    """Read everything that is known of the engine now."""
    assert engine.board
    process = engine.read_process()
    return Edge(
        time.monotonic_ns(),
        engine.board.read(),
        process,
        engine.read_switches(),
        read_listen_drops(),
        read_cores(),
    )
