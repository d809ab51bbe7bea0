"""How long threads that had work waited for the GIL or a lock. Pure; nothing runs in the engine for it.

    stalled = occupied - blocked - on a CPU - run-queue wait

Occupied and blocked are shares of the samples of a thread's state, times the window; the other two are the
kernel's totals (schedstat) at both edges of the window.

It is a lower bound. A thread that waits for the GIL after it was woken is still marked as idle, and CPU time
in idle states is subtracted, too. And a thread that waits for the GIL wakes up after each switch interval to
ask for it: where all CPUs are busy, that is a wait in the run queue. Two workers on one CPU with `cpu` work
have 15 % stalled and 54 % run-queue wait, on two CPUs 47 % and 13 %; the GIL is away for 50 %. So the wait
lies between `stalled_s` and `stalled_s + run_queue_s`: measure with a CPU to spare.

The sum over a role is clipped at 0, not each thread: clipping the sampling error of each of many threads
would add up to a wait that did not happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from app.machine.proc import SchedStat
from app.results.limits import SAMPLES_MIN
from app.results.observation import Edge, Observation, ThreadSamples

Z95 = 1.96  # standard deviations of a 95 % interval


@dataclass(frozen=True, slots=True)
class RoleStall:
    """The stalled time of a role: sums over its threads that lived through the whole measured window.

    `margin_s`: half of the 95 % interval of `stalled_s`, by the number of samples. 50 samples per second
    give at most ±0.14 s for a thread and a window of 1 s, and ±0.44 s for one of 10 s. `left_out`: threads
    that began or ended in the window, or whose CPU time is unknown.
    """

    occupied_s: float
    stalled_s: float
    run_queue_s: float
    margin_s: float
    threads: int
    left_out: int

    @property
    def share(self) -> float | None:
        """Stalled share of the occupied time, 0 to 1; None if the threads never had work."""
        return self._share(self.stalled_s)

    @property
    def share_margin(self) -> float | None:
        """Half of the 95 % interval of `share`."""
        return self._share(self.margin_s)

    @property
    def run_queue_share(self) -> float | None:
        """Run-queue wait as a share of the occupied time; above 1 if the threads were mostly idle."""
        return self._share(self.run_queue_s)

    def _share(self, seconds: float) -> float | None:
        return seconds / self.occupied_s if self.occupied_s > 0 else None


@dataclass(frozen=True, slots=True)
class _ThreadTimes:
    """One thread in the window, in seconds. `variance`: of occupied less blocked time."""

    occupied_s: float
    stalled_s: float
    run_queue_s: float
    variance: float


def stalls(observation: Observation) -> dict[str, RoleStall]:
    """Return the stalled time by role.

    Empty if it is unknown: an edge of the window is missing, there are too few samples, or the engine was
    paused (a thread that is stopped by a signal neither runs nor waits for a CPU).
    """
    first, last = observation.first, observation.last
    if first is None or last is None or observation.samples < SAMPLES_MIN or observation.stalled_ns:
        return {}
    by_role: defaultdict[str, list[_ThreadTimes | None]] = defaultdict(list)
    spans = _spans(first, last)
    for each in observation.thread_samples:
        by_role[each.role].append(_times(each, spans.get(each.slot)))
    return {role: _sum(times) for role, times in by_role.items()}


def stalled_s(found: Mapping[str, RoleStall]) -> float | None:
    """Return the sum over all roles; None if it is unknown, or a thread was left out."""
    if not found or any(stall.left_out for stall in found.values()):
        return None
    return sum(stall.stalled_s for stall in found.values())


def _spans(first: Edge, last: Edge) -> dict[int, tuple[SchedStat, SchedStat]]:
    """Return the kernel's totals at both edges, by the slot of each thread that was there at both."""
    if first.switches is None or last.switches is None:
        return {}
    begin, end = first.switches.threads, last.switches.threads
    was_there = {(thread.slot, thread.generation, thread.tid) for thread in first.board.threads}
    return {
        thread.slot: (begin[thread.tid], end[thread.tid])
        for thread in last.board.threads
        if (thread.slot, thread.generation, thread.tid) in was_there
        and thread.tid in begin.keys() & end.keys()
    }


def _times(samples: ThreadSamples, span: tuple[SchedStat, SchedStat] | None) -> _ThreadTimes | None:
    if span is None or span[1].cpu_ns == 0:  # a kernel without the accounting has zeros
        return None
    begin, end = span
    window_s = (end.at_ns - begin.at_ns) / 1e9
    awake = (samples.occupied - samples.blocked) / samples.total
    cpu_s, run_queue_s = (end.cpu_ns - begin.cpu_ns) / 1e9, (end.run_queue_ns - begin.run_queue_ns) / 1e9
    return _ThreadTimes(
        occupied_s=samples.occupied / samples.total * window_s,
        stalled_s=awake * window_s - cpu_s - run_queue_s,
        run_queue_s=run_queue_s,
        variance=awake * (1 - awake) / samples.total * window_s**2,
    )


def _sum(times: Iterable[_ThreadTimes | None]) -> RoleStall:
    times = list(times)
    known = [each for each in times if each]
    return RoleStall(
        occupied_s=sum(each.occupied_s for each in known),
        stalled_s=max(0.0, sum(each.stalled_s for each in known)),
        run_queue_s=sum(each.run_queue_s for each in known),
        margin_s=Z95 * sqrt(sum(each.variance for each in known)),
        threads=len(known),
        left_out=len(times) - len(known),
    )
