"""CPU scheduling of the control plane, which shares CPUs with the engines and load generators.

In the measured window of a run it is considerate. Under SCHED_BATCH it preempts no other process when it
wakes up, its long time slice lets others preempt it, and it still gets its fair share of a busy CPU. Every
process may choose that policy and leave it again. Children inherit it, so they are spawned under
`normal_policy`.

At other times it is not: on a CPU with six busy processes, a thread that yields under SCHED_BATCH waits for
tenths of a second. It would miss the beginning of a short window, and health checks would time out.

A load generator that sends at scheduled times uses SCHED_RR, so that no browser delays it. That needs
CAP_SYS_NICE or a limit (RLIMIT_RTPRIO), so it is used only where the system allows it.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from app.load import time_slice

_considerate_blocks: set[object] = set()


@contextlib.contextmanager
def considerate() -> Iterator[None]:
    """Switch this thread from SCHED_OTHER to SCHED_BATCH in a `with` block; any other policy stays.

    Blocks may overlap: the thread is considerate until the last one ends.
    """
    block = object()
    _considerate_blocks.add(block)
    _run_as_batch()
    try:
        yield
    finally:
        _considerate_blocks.remove(block)
        if not _considerate_blocks and os.sched_getscheduler(0) == os.SCHED_BATCH:
            time_slice.set_policy(os.SCHED_OTHER)


def _run_as_batch() -> None:
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        time_slice.set_policy(os.SCHED_BATCH, time_slice.LONG_NS)


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


def yield_cpu() -> None:
    """In a `considerate` block, let runnable threads of this CPU run first. Costs 1 µs if there are none."""
    if _considerate_blocks:
        os.sched_yield()
