"""A stall on purpose: every process of an engine stopped for a while, as a long collection or a swapped page would.

Whatever happens meanwhile, they are let go on again; if the lab itself is killed, its engines are killed with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence


async def stall(pids: Sequence[int], ms: int) -> int:
    """Stop the processes for `ms` milliseconds; answers the nanoseconds that it really was."""
    with contextlib.ExitStack() as held:
        handles = [handle for pid in pids if (handle := _handle(pid, held)) is not None]
        began_ns = time.monotonic_ns()
        try:
            for handle in handles:
                _send(handle, signal.SIGSTOP)
            await asyncio.sleep(ms / 1000)
        finally:
            for handle in handles:
                _send(handle, signal.SIGCONT)
        return time.monotonic_ns() - began_ns


def _handle(pid: int, held: contextlib.ExitStack) -> int | None:
    """A descriptor of the process, so that no other can be hit that is given the same number."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    held.callback(os.close, handle)
    return handle


def _send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)
