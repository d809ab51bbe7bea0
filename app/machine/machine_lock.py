"""One run at a time per data directory: a file lock across labs and command-line processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.store import private_files

POLL_S = 0.1


@asynccontextmanager
async def machine_lock(data_dir: Path, is_cancelled: Callable[[], bool]) -> AsyncIterator[None]:
    """Hold the lock of `data_dir` in a `with` block.

    Waits until the lock is free, or enters the block without it once `is_cancelled()` is true. The kernel
    releases the lock if this process dies. Event loop only. Raises OSError if the lock file cannot be opened.
    """
    private_files.make_folder(data_dir)
    fd = os.open(data_dir / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private_files.FILE_MODE)
    try:
        while not is_cancelled() and not _try_lock(fd):
            await asyncio.sleep(POLL_S)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
