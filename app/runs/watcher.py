"""Observes an engine during a trial, from the control plane.

It reads all counters at both edges of the measured window, samples the accept queue and the threads' states
in between (50 times per second; with many threads their states 5 times), adds one row per second to the
series, and records events.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.fleet.engine import Engine
from app.load.protocol.meter import DONE, DRAIN, MEASURE, WARMUP, MeterReading
from app.machine.proc import ProcessReading, read_cores, read_listen_drops
from app.machine.syscalls import SystemCallCounter
from app.results.observation import Edge, Observation, SeriesPoint
from app.runs.window_samples import WindowSamples
from app.schemas.run import WARM_UP_ENDS

SECOND_NS = 1_000_000_000
ACTIVE_PER_S = 5  # times per second that a thread with work is given a CPU; a supervisor has fewer


class Watcher:
    """Observes one engine through one trial: call `begin`, `sample` repeatedly, `end`, then `observation`.

    Event loop only.

    on_measuring: called when the warm-up is over. call_counter: counts system calls in the measured window.
    window: samples of the measured window. latest: the newest reading of the generator's meter. Times are
    CLOCK_MONOTONIC in nanoseconds.
    """

    def __init__(
        self,
        engine: Engine,
        on_measuring: Callable[[], None],
        call_counter: SystemCallCounter | None = None,
    ) -> None:
        self.engine = engine
        self.call_counter = call_counter
        self.system_calls: int | None = None
        self.first: Edge | None = None  # of the measured window
        self.last: Edge | None = None
        self.responses: int | None = 0  # of the engine in this trial, by its own count
        self.rss_peak: int | None = None
        self.threads_peak: int | None = None
        self.window = WindowSamples(engine)
        self.stalled_ns = 0
        self.series: list[SeriesPoint] = []
        self.latest = MeterReading()
        self.in_flight: list[int] = []  # requests without a response, once per measured second
        self.begun_ns = 0
        self.alone_from_ns = 0  # in a hot swap: from then on this engine serves alone
        self.events: list[tuple[int, str]] = []
        self.lost: str | None = None  # one sentence, if a worker process ended and the engine continued
        self._on_measuring = on_measuring
        self._before: ProcessReading | None = None  # before the trial opened connections
        self._requests_before: int | None = 0
        self._pids: frozenset[int] = frozenset()
        self._last_process: ProcessReading | None = None  # of the previous row of the series
        self._last_second: tuple[int, int] | None = None  # phase and number
        self._has_died = False

    def begin(self) -> None:
        """Begin before the load generator opens connections."""
        assert self.engine.board
        self._begin(time.monotonic_ns())
        self.alone_from_ns = self.begun_ns
        self._requests_before = self.engine.board.read().requests

    def begin_successor(self, begun_ns: int) -> None:
        """Begin for a hot-swap successor, which has served beside the previous engine since its start."""
        self._begin(begun_ns)

    def _begin(self, begun_ns: int) -> None:
        self.begun_ns = begun_ns
        self._before = self._last_process = self.engine.read_process()
        self._pids = frozenset(self.engine.pids)

    def sample(self, latest: MeterReading) -> None:
        """Read the engine. `latest`: the newest reading of the generator's meter."""
        self.latest = latest
        if latest.phase == MEASURE and self.first is None:
            self._begin_window()
        if latest.phase in (DRAIN, DONE) and self.last is None and self.first is not None:
            self.last = read_edge(self.engine)
            if self.call_counter:
                self.call_counter.stop()
        if latest.phase == MEASURE and self.first is not None:
            self.window.sample(len(self.first.board.threads))
        self._check_processes()
        self._follow_seconds()

    def _begin_window(self) -> None:
        self.first = read_edge(self.engine)
        if self.call_counter:
            self.call_counter.start()
        # In a hot swap, only the first engine is there when the warm-up ends.
        if self.latest.measured_from_ns > max(self.latest.started_ns, self.begun_ns):
            self.record_event(WARM_UP_ENDS, self.latest.measured_from_ns)
        self._on_measuring()

    def end(self, latest: MeterReading) -> None:
        """End after the load generator has exited."""
        self.latest = latest
        self._check_processes()
        self._follow_seconds()
        if self.first is not None and self.last is None:
            self.last = read_edge(self.engine)

    @property
    def is_idle(self) -> bool:
        """Whether all threads wait, so that all of them have stored their counters."""
        assert self.engine.board
        return not self.engine.alive or self.engine.board.is_idle()

    def count_responses(self) -> int | None:
        """Return the responses of the engine in this trial, by its own count; None: nothing counts them."""
        assert self.engine.board
        requests, before = self.engine.board.read().requests, self._requests_before
        self.responses = requests - before if requests is not None and before is not None else None
        return self.responses

    def record_event(self, text: str, at_ns: int | None = None) -> None:
        """Add an event to the timeline; `at_ns` None: now."""
        self.events.append((at_ns or time.monotonic_ns(), text))

    def observation(self) -> Observation:
        """Return what was observed so far, as an immutable value."""
        engine = self.engine
        return Observation(
            engine=engine.id,
            model=engine.name,
            model_title=engine.title,
            died=None if engine.alive else self._exit_text(),
            stopped=engine.state == "stopped",
            lost=self.lost,
            first=self.first,
            last=self.last,
            before=self._before,
            answered=self.responses,
            system_calls=self.system_calls,
            rss_peak=self.rss_peak,
            threads_peak=self.threads_peak,
            samples=self.window.count,
            occupancy=self.window.occupancy(self._inactive_slots()),
            # From outside, a thread that waits for the GIL looks idle, so its wait cannot be computed.
            thread_samples=() if engine.is_external else self.window.threads(),
            accept_queue=self.window.accept_queue,
            in_flight=tuple(self.in_flight),
            series=tuple(self.series),
            happened=tuple(self.events),
            stalled_ns=self.stalled_ns,
            started_ns=self.latest.started_ns,
            begun_ns=self.begun_ns,
            alone_from_ns=self.alone_from_ns,
        )

    def _inactive_slots(self) -> set[int]:
        """Return the slots of threads of an external server that were hardly ever given a CPU."""
        if not self.engine.is_external or not self.first or not self.last:
            return set()
        first, last = self.first.switches, self.last.switches
        if first is None or last is None:
            return set()
        needed = ACTIVE_PER_S * (self.last.at_ns - self.first.at_ns) / SECOND_NS
        return {
            thread.slot
            for thread in self.last.board.threads
            if thread.tid in first.threads.keys() & last.threads.keys()
            and last.threads[thread.tid].switches - first.threads[thread.tid].switches < needed
        }

    def _exit_text(self) -> str:
        return f"{self.engine.id} {self.engine.exit.reason if self.engine.exit else 'ended.'}"

    def _check_processes(self) -> None:
        """Record processes of the engine that ended or were replaced."""
        if not self.engine.alive:
            if not self._has_died:
                self._has_died = True
                self.record_event(self._exit_text())
            return
        pids = frozenset(self.engine.pids)
        if ended := len(self._pids - pids):
            self._record_lost(ended)
        if new := len(pids - self._pids):
            self.record_event("worker process replaced" if new == 1 else f"{new} worker processes replaced")
        self._pids = pids

    def _record_lost(self, count: int) -> None:
        subject = "a worker process" if count == 1 else f"{count} worker processes"
        self.record_event(f"{subject} ended")
        after_s = (time.monotonic_ns() - (self.latest.started_ns or self.begun_ns)) / 1e9
        subject = f"{subject[:1].upper()}{subject[1:]}"
        self.lost = self.lost or f"{subject} of {self.engine.id} ended {after_s:.1f} s after the load began."

    def _follow_seconds(self) -> None:
        """Add a row at each second of the generator, which counts seconds from the start of each phase."""
        latest = self.latest
        if not latest.started_ns:
            return
        starts_ns = {WARMUP: latest.started_ns, MEASURE: latest.measured_from_ns}
        start_ns = starts_ns.get(latest.phase, latest.measured_to_ns)
        second = (latest.phase, (latest.at_ns - start_ns) // SECOND_NS)
        if second != self._last_second:
            self._last_second = second
            self._add_row()

    def _add_row(self) -> None:
        assert self.engine.board
        process, before = (self.engine.read_process() if self.engine.alive else None), self._last_process
        board = self.engine.board.read()
        self.window.update_roles()
        cpu_percent = None
        if process and before and process.at_ns > before.at_ns:
            cpu_percent = 100 * max(0, process.cpu_ns - before.cpu_ns) / (process.at_ns - before.at_ns)
        if process:
            self.rss_peak = max(self.rss_peak or 0, process.rss_bytes)
            self.threads_peak = max(self.threads_peak or 0, process.threads)
        if self.latest.phase == MEASURE:
            self.in_flight.append(self.latest.in_flight)
        self._last_process = process
        at_ns = time.monotonic_ns()
        self.series.append(
            SeriesPoint(
                since_ns=before.at_ns if before else at_ns,
                at_ns=at_ns,
                connections=board.connections_total,
                threads=process.threads if process else None,
                cpu_percent=cpu_percent,
                rss_bytes=process.rss_bytes if process else None,
                queue_depth=board.queue_depth,
            )
        )


def read_edge(engine: Engine) -> Edge:
    """Read all counters of the engine and the kernel at one end of the measured window."""
    assert engine.board
    process = engine.read_process()
    return Edge(
        time.monotonic_ns(),
        engine.board.read(),
        process,
        engine.read_switches(),
        read_listen_drops(),
        read_cores(),
        engine.read_each_process(),
    )
