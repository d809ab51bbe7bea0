"""A deliberate server stall: stops all processes of an engine for a while, like a long garbage collection.

The processes are always continued. If the lab itself is killed, its engines are killed with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence


async def pause_processes(pids: Sequence[int], pause_ms: int) -> int:
    """Stop the processes for `pause_ms` milliseconds. Returns the measured duration in nanoseconds."""
    with contextlib.ExitStack() as stack:
        pidfds = [pidfd for pid in pids if (pidfd := _open_pidfd(pid, stack)) is not None]
        began_ns = time.monotonic_ns()
        try:
            for pidfd in pidfds:
                _send(pidfd, signal.SIGSTOP)
            await asyncio.sleep(pause_ms / 1000)
        finally:
            for pidfd in pidfds:
                _send(pidfd, signal.SIGCONT)
        return time.monotonic_ns() - began_ns


def _open_pidfd(pid: int, stack: contextlib.ExitStack) -> int | None:
    """Return a pidfd that `stack` closes; None if the process has ended.

    A pidfd cannot refer to another process that was given the same pid.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    stack.callback(os.close, pidfd)
    return pidfd


def _send(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
