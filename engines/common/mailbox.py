"""The mailbox: how another thread asks a loop to do something, and rings its bell."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any


class Mailbox:
    """Calls left for one loop. `fd` is an eventfd that is readable while calls may be waiting."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._signalled = False

    def post(self, call: Callable[..., object], *args: Any) -> bool:
        """Safe from any thread: leave a call for the loop. Answers whether the bell had to be rung (a system call)."""
        self._calls.append((call, args))
        if self._signalled:
            return False  # the loop has not looked yet: it will find this call as well
        self._signalled = True
        os.eventfd_write(self.fd, 1)
        return True

    def run_all(self) -> None:
        """Loop thread only. The bell is silenced *before* the calls are taken, or one would be left unheard."""
        os.eventfd_read(self.fd)
        self._signalled = False
        for _ in range(len(self._calls)):
            call, args = self._calls.popleft()
            call(*args)

    def close(self) -> None:
        os.close(self.fd)
