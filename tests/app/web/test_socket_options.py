"""The options of the sockets that `threadlab serve` accepts, read from outside."""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.web.server import ACKNOWLEDGED_WITHIN_MS, UNSENT_BYTES
from tests.app.driver import LabProcess

PIDFD_GETFD = 438  # number of the system call, the same on all architectures


def copies_of_sockets(pid: int) -> list[socket.socket]:
    """Return copies of all sockets of a process. Skips the test if the system does not permit it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if not str(link.readlink()).startswith("socket:"):
            continue
        copy = libc.syscall(PIDFD_GETFD, pidfd, int(link.name), 0)
        if copy < 0:
            pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        found.append(socket.socket(fileno=copy))
    os.close(pidfd)
    return found


def test_connections_of_the_lab_have_our_socket_options(lab: LabProcess) -> None:
    """Nagle's algorithm would delay each body, which follows its head, by up to 40 ms."""
    assert lab.get("/system")  # the client keeps its connection open
    port = int(lab.url.rsplit(":", 1)[1])
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in copies_of_sockets(lab.pid)]
        ours = [each for each in sockets if each.family == socket.AF_INET and each.getsockname()[1] == port]
        assert len(ours) >= 2, "the listening socket and an accepted one"
        for each in ours:
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == ACKNOWLEDGED_WITHIN_MS
