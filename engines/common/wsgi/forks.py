"""Processes that an application forks (`os.fork`, `multiprocessing`) must not act as a second engine.

A fork has a copy of everything: the handlers of the stop signals, which would tell the engine to stop, and
the engine's sockets, which would stay open, and readable for its event loop, after the engine has closed
them. A subprocess (fork and exec) inherits neither.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def separate_forks(port: int) -> None:
    """Make processes that this one forks from now on give up signals and sockets of the engine on `port`."""
    # Blocked in between: a signal to the new process must not reach the handler that it still has.
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS),
        after_in_parent=_unblock,
        after_in_child=lambda: _separate(port),
    )


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _separate(port: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _unblock()
    for entry in list(Path("/proc/self/fd").iterdir()):
        fd = int(entry.name)
        with contextlib.suppress(OSError):  # it is not a socket
            if _is_bound(fd, port):
                os.close(fd)


def _is_bound(fd: int, port: int) -> bool:
    """Return whether a descriptor is a TCP socket of a local port. Raises OSError if it is not a socket."""
    sock = socket.socket(fileno=fd)
    try:
        is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        return is_tcp and sock.getsockname()[1] == port
    finally:
        sock.detach()
