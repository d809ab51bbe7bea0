"""CPU use, run-queue wait and context switches of single threads, as rates between two samples (/proc)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.machine.proc import SchedStat, SchedStatReader

# 7 µs per thread, ten times per second. Of an engine with more threads, each sample reads the next 64.
THREADS_PER_SAMPLE = 64
OPEN_MAX = 1024  # descriptors kept open for one engine; beyond them a reading costs 25 µs per thread


class ThreadRates(NamedTuple):
    """One thread between its last two readings. A rate is None until there are two.

    schedstat: totals of the last reading. A switch: the thread was given a CPU.
    """

    schedstat: SchedStat
    cpu_percent: float | None = None
    run_queue_us_per_s: float | None = None
    switches_per_s: float | None = None


class ThreadIds(Protocol):
    """A thread: its process and its id; id 0: not known."""

    @property
    def pid(self) -> int: ...
    @property
    def tid(self) -> int: ...


class ThreadStats:
    """Samples the threads of one engine. `rates`: the newest rates by thread id. Event loop only."""

    def __init__(self) -> None:
        self._reader = SchedStatReader(OPEN_MAX)
        self._next_index = 0
        self._all_read_ns = 0  # time of the last sample if it has read all threads, else 0
        self._unreadable: set[int] = set()  # ids of the threads that the last sample could not read
        self.rates: dict[int, ThreadRates] = {}

    def sample(self, threads: Sequence[ThreadIds], at_ns: int) -> None:
        """Read the next THREADS_PER_SAMPLE of `threads`, and remove the rates of other threads.

        at_ns: CLOCK_MONOTONIC of the sample.
        """
        ids = [(thread.pid, thread.tid) for thread in threads if thread.tid]
        for tid in self.rates.keys() - {tid for _, tid in ids}:
            self._reader.close_thread(tid)
            del self.rates[tid]
        batch = ids
        if len(ids) > THREADS_PER_SAMPLE:
            self._next_index = (self._next_index + THREADS_PER_SAMPLE) % len(ids)
            batch = (ids + ids)[self._next_index : self._next_index + THREADS_PER_SAMPLE]
        unreadable = set()
        for pid, tid in batch:
            if now := self._reader.read(pid, tid):
                self.rates[tid] = _rates(now, self.rates.get(tid) or self._zero_if_new(pid, tid))
            else:
                unreadable.add(tid)
                self.rates.pop(tid, None)
        self._all_read_ns, self._unreadable = (at_ns if batch is ids else 0), unreadable

    def _zero_if_new(self, pid: int, tid: int) -> ThreadRates | None:
        """Return zero totals for a thread that has begun since the last sample, which has read all threads.

        Not for the first thread of a process: it has used CPU before it appeared on the board.
        """
        is_new = self._all_read_ns and tid != pid and tid not in self._unreadable
        return ThreadRates(SchedStat(self._all_read_ns, 0, 0, 0)) if is_new else None

    @property
    def switches(self) -> int | None:
        """Switches of all live threads since each began; None if the last sample has not read all of them."""
        if not self._all_read_ns or self._unreadable:
            return None
        return sum(rates.schedstat.switches for rates in self.rates.values())

    def close(self) -> None:
        """Close all descriptors."""
        self._reader.close()


def _rates(now: SchedStat, last: ThreadRates | None) -> ThreadRates:
    if last is None or now.at_ns <= last.schedstat.at_ns:
        return ThreadRates(now)
    before = last.schedstat
    seconds = (now.at_ns - before.at_ns) / 1e9
    return ThreadRates(
        now,
        cpu_percent=(now.cpu_ns - before.cpu_ns) / 1e7 / seconds,
        run_queue_us_per_s=(now.run_queue_ns - before.run_queue_ns) / 1e3 / seconds,
        switches_per_s=(now.switches - before.switches) / seconds,
    )
