"""CPU scheduling of the control plane, which shares the CPUs with the engines and load generators that it watches.

As SCHED_BATCH it preempts nobody when it wakes up, its long time slice lets others preempt it, and it still gets its
fair share of a busy CPU. Every process may choose that policy and leave it again. A child inherits it, so children are
spawned under the `normal_policy`.

A load generator that has to send at given instants is better off as SCHED_RR: then no browser delays it. That takes
CAP_SYS_NICE or a limit (RLIMIT_RTPRIO), so it is used only where the system allows it.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from app.load import time_slice


def run_as_batch() -> None:
    """Switch this thread from SCHED_OTHER to SCHED_BATCH; any other policy is left alone."""
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        time_slice.set_policy(os.SCHED_BATCH, time_slice.LONG_NS)


@contextlib.contextmanager
def normal_policy() -> Iterator[None]:
    """Switch this thread back to SCHED_OTHER, for children that are spawned meanwhile."""
    if os.sched_getscheduler(0) != os.SCHED_BATCH:
        yield
        return
    time_slice.set_policy(os.SCHED_OTHER)
    try:
        yield
    finally:
        run_as_batch()


def allows_realtime() -> bool:
    """Whether a child may have real-time priority: limits, capabilities and control groups decide, so it is tried."""
    policy = os.sched_getscheduler(0)
    if policy not in (os.SCHED_OTHER, os.SCHED_BATCH):
        return False  # another policy was chosen for the lab: leave it
    if resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY:
        return False  # a generator that is busy for longer than that would be killed
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if policy == os.SCHED_BATCH:
        run_as_batch()
    return True


def yield_cpu() -> None:
    """Let runnable threads of this CPU run first: 1 µs if there are none."""
    os.sched_yield()
