"""Samples: one reading of an engine's board and of /proc, and the rates between two of them."""

from __future__ import annotations

from dataclasses import dataclass

from app.lab.engine import Engine
from app.lab.proc import ProcessReading, ThreadClocks
from app.lab.views import SampleView, ThreadView
from engines.common.board import COUNTER_NAMES, THREAD_STATES
from engines.common.board_reader import Reading, ThreadReading

THREAD_CPU_MAX = 256  # beyond so many threads their CPU is read in turns: 7 µs each, ten times a second


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. `process` is None when the engine has died: the board still shows its last truth."""

    at_ns: int
    board: Reading
    process: ProcessReading | None
    thread_ns: dict[int, tuple[int, int]]  # tid → (CPU ns, run-queue wait ns)


class Sampler:
    """Samples one engine, again and again; keeps the last two, for rates."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._clocks = ThreadClocks()
        self._from = 0
        self.last: Sample | None = None
        self.before: Sample | None = None

    def take(self, at_ns: int) -> Sample | None:
        """Read everything; None while there is no board yet."""
        if self._engine.board is None or self._engine.pid is None:
            return None
        board = self._engine.board.read()
        process = self._engine.process() if self._engine.alive else None
        self.before, self.last = self.last, Sample(at_ns, board, process, self._threads(board))
        return self.last

    def close(self) -> None:
        self._clocks.close()

    def _threads(self, board: Reading) -> dict[int, tuple[int, int]]:
        ids = [(thread.pid, thread.tid) for thread in board.threads if thread.tid]
        if len(ids) > THREAD_CPU_MAX:
            self._from = (self._from + THREAD_CPU_MAX) % len(ids)
            ids = (ids + ids)[self._from : self._from + THREAD_CPU_MAX]
        self._clocks.keep_only(tid for _, tid in ids)
        return {tid: clock for pid, tid in ids if (clock := self._clocks.read(pid, tid))}

    def view(self) -> SampleView | None:
        """The newest sample as API and pages show it."""
        last, before = self.last, self.before
        if last is None:
            return None
        counters = last.board.counters
        return SampleView(
            engine=self._engine.id,
            t_s=last.at_ns / 1e9,
            requests=last.board.requests,
            requests_per_s=self.requests_per_s,
            errors=counters["requests_4xx"] + counters["requests_5xx"],
            connections=last.board.connections,
            connections_total=sum(last.board.connections.values()),
            threads=tuple(self._thread(thread) for thread in last.board.threads),
            thread_count=last.process.threads if last.process else len(last.board.threads),
            cpu_percent=cpu_percent(before, last),
            rss_bytes=last.process.rss_bytes if last.process else None,
            io_calls=last.board.io_calls,
            queue_depth=last.board.queue_depth,
            queue_high_water=counters["queue_high_water"],
            accept_pauses=last.board.accept_pauses,
            counters=counters,
        )

    @property
    def requests_per_s(self) -> float | None:
        if self.last is None or self.before is None or self.last.at_ns == self.before.at_ns:
            return None
        return (self.last.board.requests - self.before.board.requests) / ((self.last.at_ns - self.before.at_ns) / 1e9)

    def thread_cpu_percent(self, tid: int) -> float | None:
        if self.last is None or self.before is None:
            return None
        now, then = self.last.thread_ns.get(tid), self.before.thread_ns.get(tid)
        if now is None or then is None:
            return None
        return 100 * (now[0] - then[0]) / max(1, self.last.at_ns - self.before.at_ns)

    def _thread(self, thread: ThreadReading) -> ThreadView:
        clock = self.last.thread_ns.get(thread.tid) if self.last else None
        return ThreadView(
            slot=thread.slot, generation=thread.generation, pid=thread.pid, tid=thread.tid, role=thread.role,
            index=thread.index, state=THREAD_STATES[thread.state], connections=thread.connections,
            cpu_percent=self.thread_cpu_percent(thread.tid), run_queue_wait_us=clock[1] / 1000 if clock else None,
            counters=dict(zip(COUNTER_NAMES, thread.counters, strict=True)),
        )  # fmt: skip


def cpu_percent(before: Sample | None, last: Sample) -> float | None:
    """CPU of all its processes between two samples, 100 for one core; None where one of them lacks it."""
    if before is None or before.process is None or last.process is None:
        return None
    elapsed_ns = last.process.at_ns - before.process.at_ns
    used_ns = max(0, last.process.cpu_ns - before.process.cpu_ns)  # a process that ended is rounded down to ticks
    return 100 * used_ns / elapsed_ns if elapsed_ns > 0 else None
