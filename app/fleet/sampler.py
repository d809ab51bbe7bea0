"""Samples of an engine: one reading of its board and of /proc, and the rates between two samples."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.fleet.board import BoardReading, ThreadState
from app.fleet.engine import Engine
from app.fleet.rates import RateWindow, RequestCost, Totals
from app.machine.proc import ProcessReading
from app.machine.scheduling import batch_policy
from app.machine.thread_stats import ThreadStats
from app.schemas.engine import SampleView, ThreadView
from app.servers.kernel_states import STATE_NAMES
from engines.common.board.board import COUNTER_NAMES

UNSENT_STATES_MAX = 16  # without viewers there are no frames that would take them


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. `process` is None if the engine has ended; its board still shows the last state."""

    at_ns: int
    board: BoardReading
    process: ProcessReading | None


class Sampler:
    """Samples one engine and keeps the last two samples. Event loop only.

    thread_rates: by thread id. cpu_ns: CPU time of all processes of the engine since its start.
    unsent_states: (time in ns, thread states by slot) of each sample since the last frame.
    is_final: the last sample was taken after the engine had ended, so nothing changes any more.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread_stats = ThreadStats()
        self._window = RateWindow()
        self.thread_rates = self._thread_stats.rates
        self.last: Sample | None = None
        self.previous: Sample | None = None
        self.unsent_states: deque[tuple[int, dict[int, int]]] = deque(maxlen=UNSENT_STATES_MAX)
        self.is_final = False
        self.cpu_ns = 0

    def restart(self, at_ns: int) -> Sample | None:
        """Forget earlier samples and take one, so that the start of an engine is not part of its rates."""
        self.last, self._window = None, RateWindow()
        return self.sample(at_ns)

    def sample(self, at_ns: int) -> Sample | None:
        """Read the board and /proc; return None if there is no board yet. `at_ns`: CLOCK_MONOTONIC."""
        alive = self._engine.alive
        self.is_final = not alive
        if self._engine.board is None or self._engine.pid is None:
            return None
        board = self._engine.board.read()
        batch_policy.yield_cpu()
        process = self._engine.read_process() if alive else None
        batch_policy.yield_cpu()
        self.cpu_ns = max(self.cpu_ns, process.cpu_ns if process else 0)
        self._thread_stats.sample(board.threads if alive else (), at_ns)
        switches = self._thread_stats.switches if alive else None
        self._window.add(Totals.from_readings(at_ns, board, process, switches))
        self.previous, self.last = self.last, Sample(at_ns, board, process)
        self.unsent_states.append((at_ns, {thread.slot: thread.state for thread in board.threads}))
        return self.last

    def close(self) -> None:
        """Close the descriptors of the threads' files."""
        self._thread_stats.close()

    def request_cost(self, loaded_per_s: float | None = None) -> RequestCost:
        """Return the cost per request in the last second. `loaded_per_s`: see `RateWindow`."""
        return self._window.request_cost(loaded_per_s)

    def view(self) -> SampleView | None:
        """Return the last sample as API and pages show it; None if there is none."""
        last, previous = self.last, self.previous
        if last is None:
            return None
        counters = last.board.counters
        return SampleView(
            engine=self._engine.id,
            t_s=last.at_ns / 1e9,
            requests=last.board.requests,
            requests_per_s=self.requests_per_s,
            errors=last.board.errors,
            connections=dict(last.board.connections),
            connections_total=last.board.connections_total,
            threads=tuple(self._thread_view(thread) for thread in last.board.threads),
            thread_count=last.process.threads if last.process else len(last.board.threads),
            cpu_percent=cpu_percent(previous, last),
            rss_bytes=last.process.rss_bytes if last.process else None,
            io_calls=last.board.io_calls,
            queue_depth=last.board.queue_depth,
            queue_high_water=counters.get("queue_high_water"),
            accept_pauses=last.board.accept_pauses,
            counters=dict(counters),
        )

    @property
    def requests_per_s(self) -> float | None:
        """Throughput of the last second; None if the engine has ended: its board is static."""
        return self._window.requests_per_s() if self._engine.alive else None

    @property
    def cpu_percent_by_role(self) -> dict[str, float | None]:
        """CPU of the live threads by role, in percent of one core; None if a thread is unknown."""
        sums: dict[str, float | None] = {}
        for thread in self.last.board.threads if self.last else ():
            rates, so_far = self.thread_rates.get(thread.tid), sums.get(thread.role, 0.0)
            known = rates is not None and rates.cpu_percent is not None and so_far is not None
            sums[thread.role] = so_far + rates.cpu_percent if known else None  # type: ignore[operator, union-attr]
        return sums

    def _thread_view(self, thread: ThreadState) -> ThreadView:
        rates = self.thread_rates.get(thread.tid)
        return ThreadView(
            slot=thread.slot,
            generation=thread.generation,
            pid=thread.pid,
            tid=thread.tid,
            role=thread.role,
            index=thread.index,
            state=STATE_NAMES[thread.state],
            connections=thread.connections,
            cpu_percent=rates.cpu_percent if rates else None,
            run_queue_wait_us=rates.schedstat.run_queue_ns / 1000 if rates else None,
            counters=dict(zip(COUNTER_NAMES, thread.counters, strict=False)),
        )


def cpu_percent(previous: Sample | None, last: Sample) -> float | None:
    """Return the CPU of all processes between two samples in percent of one core; None if unknown."""
    if previous is None or previous.process is None or last.process is None:
        return None
    elapsed_ns = last.process.at_ns - previous.process.at_ns
    # Negative if a process has ended meanwhile: its time is then rounded down to ticks.
    used_ns = last.process.cpu_ns - previous.process.cpu_ns
    return 100 * used_ns / elapsed_ns if elapsed_ns > 0 and used_ns >= 0 else None
