"""CPU scheduling of the control plane, which shares CPUs with the engines and load generators.

In the measured window of a run its threads have SCHED_BATCH: they preempt no other process when they wake up,
their long time slice lets others preempt them, and they still get their fair share of a busy CPU. Every
process may choose that policy and leave it again. Children inherit it, so they are spawned under
`normal_policy`.

On a CPU with six busy processes, a thread that yields under SCHED_BATCH waits for tenths of a second. So at
other times they have SCHED_OTHER, or the beginning of a short window would be missed and health checks would
time out; and after a yield that took long there is none for a second. A run that pauses its server keeps
SCHED_OTHER, so that the pause begins in time.

A load generator that sends at scheduled times uses SCHED_RR, so that no browser delays it. That needs
CAP_SYS_NICE or a limit (RLIMIT_RTPRIO), so it is used only where the system allows it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator

from app.load import time_slice

LONG_YIELD_S = 0.05
PAUSE_S = 1.0  # without yields, after a long one


class BatchPolicy:
    """Switches all Python threads of this process to SCHED_BATCH in a `with` block. Event loop only.

    Blocks may overlap: the last one to end switches back. A process that the operator has started under
    another policy than SCHED_OTHER keeps it.
    """

    def __init__(self) -> None:
        self._blocks = 0
        self._switched = False
        self._next_yield_s = 0.0

    def __enter__(self) -> None:
        if not self._blocks and os.sched_getscheduler(0) == os.SCHED_OTHER:
            self._switched = True
            for thread in _threads():
                _run_as_batch(thread)
        self._blocks += 1

    def __exit__(self, *_: object) -> None:
        self._blocks -= 1
        if not self._blocks and self._switched:
            self._switched = False
            for thread in _threads():
                time_slice.set_policy(os.SCHED_OTHER, thread=thread)

    def yield_cpu(self) -> None:
        """In a block, let runnable threads of this CPU run first. Costs 1 µs if there are none."""
        began_s = time.monotonic()
        if self._blocks and began_s >= self._next_yield_s:
            os.sched_yield()
            ended_s = time.monotonic()
            if ended_s - began_s > LONG_YIELD_S:
                self._next_yield_s = ended_s + PAUSE_S


batch_policy = BatchPolicy()


def _threads() -> list[int]:
    """Return the ids of the running Python threads. It needs no descriptor, unlike a listing of /proc."""
    return [thread.native_id for thread in threading.enumerate() if thread.native_id]


def _run_as_batch(thread: int = 0) -> None:
    time_slice.set_policy(os.SCHED_BATCH, time_slice.LONG_NS, thread)


@contextlib.contextmanager
def normal_policy() -> Iterator[None]:
    """Switch this thread to SCHED_OTHER in a `with` block, for children that are spawned in it."""
    if os.sched_getscheduler(0) != os.SCHED_BATCH:
        yield
        return
    time_slice.set_policy(os.SCHED_OTHER)
    try:
        yield
    finally:
        _run_as_batch()


def allows_realtime() -> bool:
    """Return whether a child may have real-time priority.

    Limits, capabilities and control groups decide, so it tries SCHED_RR and restores the policy.
    """
    policy = os.sched_getscheduler(0)
    if policy not in (os.SCHED_OTHER, os.SCHED_BATCH):
        return False  # the operator has chosen another policy for the lab
    if resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY:
        return False  # the kernel would kill a generator that is busy for longer than that
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if policy == os.SCHED_BATCH:
        _run_as_batch()
    return True
