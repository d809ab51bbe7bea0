"""The lifeline: a pipe from the control plane, so that a shard never outlives it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

from app.load.connections.connection_pool import ConnectionPool


class Lifeline:
    """A pipe whose write end the control plane holds.

    When it is closed, the shard exits with code 1, without an outcome.

    The control plane sends one line through it: the instant of CLOCK_MONOTONIC, in ns, at which all shards
    start. It is a pipe because the event loop can wait for it, and a shard that waits for the start still
    notices the end.
    """

    sent_at = 0  # for the hot loops: no request in flight

    def __init__(self, fd: int, pool: ConnectionPool, start_at: Callable[[int], None]) -> None:
        self.fd = fd
        self._start_at = start_at
        pool.epoll.register(fd, select.EPOLLIN)
        pool.set_handler(fd, self)

    def on_event(self, _now: int) -> None:
        """Read the start signal, or exit."""
        if line := os.read(
            self.fd, 64
        ):  # written at once, with less than PIPE_BUF bytes: it arrives whole (pipe(7))
            self._start_at(int(line))
        else:
            sys.stderr.write("The control plane has exited: the load ends without an outcome.\n")
            sys.stderr.flush()
            os._exit(1)
