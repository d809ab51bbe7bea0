"""The processes of an external server: all descendants of its guard."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

FULL_INTERVAL_S = 1.0  # how often the children of all threads are read, and not only of first threads
RECENT_S = 0.05  # a reading that is not older is used again


class ProcessTree:
    """The descendants of one process. Event loop only.

    The kernel lists the children of each thread. Most are those of the first thread of a process, and 100
    threads take 1 ms, so those of the others are read once per second.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._pids: tuple[int, ...] = ()
        self._by_others: dict[int, list[int]] = {}  # children of other threads than the first, by process
        self._read_s = self._full_s = 0.0

    def refresh(self) -> tuple[int, ...]:
        """Read the tree. Returns the process ids, the server's first process first."""
        now_s = time.monotonic()
        if now_s - self._full_s >= FULL_INTERVAL_S:
            self._full_s, self._by_others = now_s, {}
        found = list(_children(self._root, self._root))
        for pid in found:  # grows while it is read: breadth first
            found += _children(pid, pid)
            if pid not in self._by_others:
                self._by_others[pid] = _children_of_others(pid)
            found += self._by_others[pid]
        self._pids, self._read_s = tuple(dict.fromkeys(found)), now_s
        return self._pids

    def recent(self) -> tuple[int, ...]:
        """Return the process ids, at most RECENT_S old."""
        return self._pids if time.monotonic() - self._read_s < RECENT_S else self.refresh()


def _children(pid: int, tid: int) -> list[int]:
    """Return the processes that a thread has started, in order of their start; none if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{tid}/children").read_text().split()]
    except OSError:
        return []


def _children_of_others(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            if task.name != str(pid):
                found += _children(pid, int(task.name))
    return found
