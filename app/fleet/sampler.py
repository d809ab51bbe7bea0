"""Samples: one reading of an engine's board and of /proc, and the rates between two of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.fleet.engine import Engine
from app.fleet.rates import Cost, Total, Window
from app.machine import scheduling
from app.machine.proc import ProcessReading
from app.machine.thread_stats import ThreadStats
from app.schemas.engine import SampleView, ThreadView
from engines.common.board.board import COUNTER_NAMES, THREAD_STATES
from engines.common.board.reader import Reading, ThreadReading

UNTOLD_MOST = 16  # a frame has those since the one before; where nobody looks there are no frames


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. `process` is None when the engine has died: the board still shows its last truth."""

    at_ns: int
    board: Reading
    process: ProcessReading | None


class Sampler:
    """Samples one engine, again and again; keeps the last two, for rates."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread_stats = ThreadStats()
        self._window = Window()
        self.threads = self._thread_stats.rates  # what each uses, by its id
        self.last: Sample | None = None
        self.before: Sample | None = None
        # What its threads did at each sample since a frame was made of them: when, and their state by slot.
        self.untold: deque[tuple[int, dict[int, int]]] = deque(maxlen=UNTOLD_MOST)
        self.complete = False  # the engine had ended when the last sample was taken: nothing changes any more
        self.cpu_ns = 0  # of all its processes since it started, as far as it was seen alive

    def begin(self, at_ns: int) -> Sample | None:
        """Take the first sample of an engine that is ready. Its start, in samples before, is no part of its rates."""
        self.last, self._window = None, Window()
        return self.take(at_ns)

    def take(self, at_ns: int) -> Sample | None:
        """Read everything; None while there is no board yet."""
        alive = self._engine.alive
        self.complete = not alive
        if self._engine.board is None or self._engine.pid is None:
            return None
        board = self._engine.board.read()
        scheduling.yield_cpu()
        process = self._engine.process() if alive else None
        scheduling.yield_cpu()
        self.cpu_ns = max(self.cpu_ns, process.cpu_ns if process else 0)
        self._thread_stats.sample(board.threads if alive else (), at_ns)
        self._window.add(Total.of(at_ns, board, process, self._thread_stats.switches if alive else None))
        self.before, self.last = self.last, Sample(at_ns, board, process)
        self.untold.append((at_ns, {thread.slot: thread.state for thread in board.threads}))
        return self.last

    def close(self) -> None:
        self._thread_stats.close()

    def cost(self) -> Cost:
        """What a request has cost in the last second."""
        return self._window.cost()

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
        """Of the last second; None when it is gone: its board stands still, and so would the rate."""
        return self._window.requests_per_s() if self._engine.alive else None

    @property
    def cpu_percent_by_role(self) -> dict[str, float | None]:
        """Of the living threads of each role together; None where one of them is not known."""
        sums: dict[str, float | None] = {}
        for thread in self.last.board.threads if self.last else ():
            rates, so_far = self.threads.get(thread.tid), sums.get(thread.role, 0.0)
            known = rates is not None and rates.cpu_percent is not None and so_far is not None
            sums[thread.role] = so_far + rates.cpu_percent if known else None  # type: ignore[operator, union-attr]
        return sums

    def _thread(self, thread: ThreadReading) -> ThreadView:
        rates = self.threads.get(thread.tid)
        return ThreadView(
            slot=thread.slot,
            generation=thread.generation,
            pid=thread.pid,
            tid=thread.tid,
            role=thread.role,
            index=thread.index,
            state=THREAD_STATES[thread.state],
            connections=thread.connections,
            cpu_percent=rates.cpu_percent if rates else None,
            run_queue_wait_us=rates.schedstat.run_queue_ns / 1000 if rates else None,
            counters=dict(zip(COUNTER_NAMES, thread.counters, strict=True)),
        )


def cpu_percent(before: Sample | None, last: Sample) -> float | None:
    """CPU of all its processes between two samples, 100 for one core; None where it is not known."""
    if before is None or before.process is None or last.process is None:
        return None
    elapsed_ns = last.process.at_ns - before.process.at_ns
    used_ns = (
        last.process.cpu_ns - before.process.cpu_ns
    )  # below 0: one has ended, and was rounded down to ticks
    return 100 * used_ns / elapsed_ns if elapsed_ns > 0 and used_ns >= 0 else None
