"""How many bytes of incomplete bodies a process may hold: one body is bounded, and so is the sum of all.

15,000 connections with a body of 1 MiB each, of which one byte is missing, would be 15 GB. A whole body is not counted:
it is with the handler. Each worker process of `prefork` has a budget of its own, as it has its own memory.
"""

from __future__ import annotations

import threading

BODIES_LIMIT = 64 * 1024 * 1024


class BodyBudget:
    """Bytes that may still be held. Thread-safe: under a lock, for `blocking` has a thread for each connection.

    A lock costs 0.1 µs for each part of a body that is incomplete after it was read, and nothing for any other request.
    """

    __slots__ = ("_free", "_lock")

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        return self._free

    def take(self, size: int) -> bool:
        """Returns whether there is room for `size` bytes more; if so, they are counted until `give_back`."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._free += size


BODIES = BodyBudget(BODIES_LIMIT)  # of this process: a worker that is forked has its own
