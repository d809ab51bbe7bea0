"""What single threads use of the machine: CPU, wait for a CPU, switches; as rates, from /proc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.machine.proc import ThreadClock, ThreadClocks
from engines.common.board.reader import ThreadReading

# Read at each look: 7 µs a thread, ten times a second. More threads than that are read in turns.
LOOK_MAX = 64
OPEN_MAX = 1024  # descriptors kept open for one engine; beyond them a look costs 25 µs a thread


class ThreadRates(NamedTuple):
    """One thread between its last two looks. A switch is being given a CPU."""

    clock: ThreadClock
    cpu_percent: float | None = None
    run_queue_us_per_s: float | None = None
    switches_per_s: float | None = None


class ThreadWatch:
    """Looks at the threads of one engine, again and again."""

    def __init__(self) -> None:
        self._clocks = ThreadClocks(OPEN_MAX)
        self._from = 0
        self._looked_ns = 0  # when *all* threads were looked at last; 0 if the last look did not reach all
        self._missed: set[int] = set()  # whose clock could not be read at the last look
        self.rates: dict[int, ThreadRates] = {}

    def look(self, threads: Sequence[ThreadReading], at_ns: int) -> None:
        ids = [(thread.pid, thread.tid) for thread in threads if thread.tid]
        for tid in self.rates.keys() - {tid for _, tid in ids}:
            self._clocks.forget(tid)
            del self.rates[tid]
        turn = ids
        if len(ids) > LOOK_MAX:
            self._from = (self._from + LOOK_MAX) % len(ids)
            turn = (ids + ids)[self._from : self._from + LOOK_MAX]
        missed = set()
        for pid, tid in turn:
            if clock := self._clocks.read(pid, tid):
                self.rates[tid] = self._rate(clock, self.rates.get(tid) or self._begun(pid, tid))
            else:
                missed.add(tid)
                self.rates.pop(tid, None)
        self._looked_ns, self._missed = (at_ns if turn is ids else 0), missed

    def _begun(self, pid: int, tid: int) -> ThreadRates | None:
        """Who was not there at the last look, which was at all of them, has begun since. Not a process's first thread:
        it has worked for some time before it came to the board."""
        new = self._looked_ns and tid != pid and tid not in self._missed
        return ThreadRates(ThreadClock(self._looked_ns, 0, 0, 0)) if new else None

    def _rate(self, now: ThreadClock, before: ThreadRates | None) -> ThreadRates:
        if before is None or now.at_ns <= before.clock.at_ns:
            return ThreadRates(now)
        then = before.clock
        seconds = (now.at_ns - then.at_ns) / 1e9
        return ThreadRates(
            now,
            cpu_percent=(now.cpu_ns - then.cpu_ns) / 1e7 / seconds,
            run_queue_us_per_s=(now.waited_ns - then.waited_ns) / 1e3 / seconds,
            switches_per_s=(now.switches - then.switches) / seconds,
        )

    @property
    def switches(self) -> int | None:
        """Of all threads that live, since each began; None when the last look did not reach all."""
        known = self._looked_ns and not self._missed
        return sum(rates.clock.switches for rates in self.rates.values()) if known else None

    def close(self) -> None:
        self._clocks.close()
