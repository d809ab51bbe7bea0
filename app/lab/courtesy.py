"""The control plane steps aside for engines and load generators, which share the CPUs with it while it watches them.

As SCHED_BATCH it takes the CPU from nobody when it wakes, with a long time slice it gives it up to whoever does, and it
still gets its share of a busy one. Every process may choose that for itself, and go back; a child inherits it, so
children are spawned `as_usual`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from app.load import time_slice


def step_aside() -> None:
    """Make this thread wait for its turn, if it is scheduled as usual."""
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        time_slice.choose(os.SCHED_BATCH, time_slice.LONG_NS)


@contextlib.contextmanager
def as_usual() -> Iterator[None]:
    """Be scheduled as usual for a moment, so that what is started meanwhile is."""
    if os.sched_getscheduler(0) != os.SCHED_BATCH:
        yield
        return
    time_slice.choose(os.SCHED_OTHER)
    try:
        yield
    finally:
        step_aside()


def give_way() -> None:
    """Let those go first who wait for this CPU: some 1 µs where nobody does."""
    os.sched_yield()
