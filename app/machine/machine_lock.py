"""One run at a time on this machine: a lock file in the data directory orders runs across labs and shells."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.store import private

LOOK_S = 0.1


@asynccontextmanager
async def run_turn(data_dir: Path, given_up: Callable[[], bool]) -> AsyncIterator[None]:
    """Wait for the machine's turn, unless it is `given_up`; the kernel gives it up for us if we die."""
    private.make_folder(data_dir)
    fd = os.open(data_dir / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
    try:
        while not given_up() and not _locked(fd):
            await asyncio.sleep(LOOK_S)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
