"""Ends what is left of a server, found by a mark in the environment."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from app.servers.environment import MARK


def kill_marked(mark: str) -> int:
    """Kill all processes that have the mark in their environment, and return their number.

    Takes 10 µs for each process of the machine. The guard itself has no mark.
    """
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or belongs to another user
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    killed += 1
    return killed
