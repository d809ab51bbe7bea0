"""How many system calls an engine makes: perf counts them, where there is a perf and it is allowed to.

Counting costs each call a tracepoint, so it is done in traced runs only, which are not ranked anyway.
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
BEGUN_WITHIN_S = 3.0
COUNTED_WITHIN_S = 3.0
LOOK_S = 0.02


class SystemCalls:
    """perf on an engine's processes, and on whatever threads and processes they start. Off until `begin`."""

    def __init__(self, child: Child, control: int) -> None:
        self._child = child
        self._control = control

    @classmethod
    async def watch(cls, pids: Sequence[int]) -> SystemCalls | None:
        """Attach; None where perf is missing or refused."""
        if not pids or shutil.which("perf") is None:
            return None
        theirs, ours = os.pipe()
        try:
            argv = [
                "perf",
                "stat",
                "-x,",
                "-e",
                EVENT,
                "--delay=-1",
                f"--control=fd:{theirs}",
                "-p",
                ",".join(map(str, pids)),
            ]
            found = cls(Child.spawn(argv, lend=(theirs,)), ours)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        attached = False
        try:
            attached = await found._attached()
        finally:
            if not attached:  # also where the wait for it was called off
                await found.close()
        return found if attached else None

    def begin(self) -> None:
        self._tell(b"enable\n")

    def end(self) -> None:
        self._tell(b"disable\n")

    async def count(self) -> int | None:
        """What was counted between `begin` and `end`; None if perf did not say. Ends it."""
        self._child.signal(signal.SIGINT)
        await asyncio.wait([self._child.exited], timeout=COUNTED_WITHIN_S)
        found = next(
            (re.match(rf"(\d+),[^,]*,{EVENT}", line) for line in self._child.log if EVENT in line), None
        )
        return int(found[1]) if found else None

    async def close(self) -> None:
        if self._child.alive:
            await self._child.stop(0.2)
        if self._control >= 0:
            os.close(self._control)
            self._control = -1

    async def _attached(self) -> bool:
        """Whether perf has opened its events; it opens one a thread, and then waits."""
        deadline_s = time.monotonic() + BEGUN_WITHIN_S
        while self._child.alive and time.monotonic() < deadline_s:
            if any("perf_event" in link for link in _open_files(self._child.pid)):
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _tell(self, word: bytes) -> None:
        if self._child.alive:
            os.write(self._control, word)


def _open_files(pid: int) -> list[str]:
    try:
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
