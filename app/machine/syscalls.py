"""Counts the system calls of an engine with `perf stat`, where perf is installed and permitted.

Counting adds a tracepoint to each call, so it is used only in traced runs, which are not ranked.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from app.machine.child import Child

EVENT = "raw_syscalls:sys_enter"
ATTACH_TIMEOUT_S = 3.0
RESULT_TIMEOUT_S = 3.0
POLL_S = 0.02


class SystemCallCounter:
    """perf attached to the processes of an engine and to all threads and processes that they start.

    Counts between `start` and `stop`. Event loop only.
    """

    def __init__(self, child: Child, control_fd: int) -> None:
        self._child = child
        self._control_fd = control_fd

    @classmethod
    async def attach(cls, pids: Sequence[int]) -> SystemCallCounter | None:
        """Attach perf to the processes; return None if perf is missing or not permitted."""
        if not pids or shutil.which("perf") is None:
            return None
        child_end, parent_end = os.pipe()
        try:
            argv = [
                "perf",
                "stat",
                "-x,",
                "-e",
                EVENT,
                "--delay=-1",
                f"--control=fd:{child_end}",
                "-p",
                ",".join(map(str, pids)),
            ]
            counter = cls(Child.spawn(argv, pass_fds=(child_end,)), parent_end)
        except BaseException:
            os.close(parent_end)
            raise
        finally:
            os.close(child_end)
        attached = False
        try:
            attached = await counter._wait_attached()
        finally:
            if not attached:  # also if the wait was cancelled
                await counter.close()
        return counter if attached else None

    def start(self) -> None:
        """Start counting."""
        self._send(b"enable\n")

    def stop(self) -> None:
        """Stop counting."""
        self._send(b"disable\n")

    async def finish(self) -> int | None:
        """End perf and return the number of calls; None if perf reported none within RESULT_TIMEOUT_S."""
        self._child.signal(signal.SIGINT)
        await asyncio.wait([self._child.exited], timeout=RESULT_TIMEOUT_S)
        found = next(
            (re.match(rf"(\d+),[^,]*,{EVENT}", line) for line in self._child.log if EVENT in line), None
        )
        return int(found[1]) if found else None

    async def close(self) -> None:
        """End perf if it is still running, and close the control pipe."""
        if self._child.alive:
            await self._child.stop(0.2)
        if self._control_fd >= 0:
            os.close(self._control_fd)
            self._control_fd = -1

    async def _wait_attached(self) -> bool:
        """Wait until perf has opened its events, one per thread.

        Returns False on a timeout or if perf ends.
        """
        deadline_s = time.monotonic() + ATTACH_TIMEOUT_S
        while self._child.alive and time.monotonic() < deadline_s:
            if any("perf_event" in target for target in _open_files(self._child.pid)):
                return True
            await asyncio.sleep(POLL_S)
        return False

    def _send(self, command: bytes) -> None:
        if self._child.alive:
            os.write(self._control_fd, command)


def _open_files(pid: int) -> list[str]:
    try:
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
