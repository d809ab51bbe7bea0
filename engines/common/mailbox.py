"""The mailbox: how another thread asks an event loop to call something."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any


class Mailbox:
    """Calls posted to one loop. `fd` is an eventfd that is readable while calls may be waiting."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._signalled = False

    def post(self, call: Callable[..., object], *args: Any) -> bool:
        """Thread-safe: queue a call. Returns whether the loop had to be woken (a system call)."""
        self._calls.append((call, args))
        if self._signalled:
            return False  # the loop was woken already and has not run yet
        self._signalled = True
        os.eventfd_write(self.fd, 1)
        return True

    def run_all(self) -> None:
        """Run the calls that are queued now. Event loop only.

        The eventfd is cleared before the calls are taken: a call posted in between wakes the loop again.
        """
        os.eventfd_read(self.fd)
        self._signalled = False
        for _ in range(len(self._calls)):
            call, args = self._calls.popleft()
            call(*args)

    def close(self) -> None:
        """Close the eventfd."""
        os.close(self.fd)
