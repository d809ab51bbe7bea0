"""x"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from engines.common.board.board import C_IDLE
from engines.common.connection_table import DRAIN_IDLE_S
from engines.common.contract import Setup
from engines.common.process.threads import start_thread
from engines.threaded_io.connection import BlockingConnection


class ThreadRegistry:
    """All conversations. Safe from any thread: the lock also guards each close, so that drain never touches
    a descriptor that was given to somebody else."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._changed = threading.Condition()
        self._connections: set[BlockingConnection] = set()
        self.thread_limit_reached = False  # a peer was let go because no thread could be started
        self.waits_for_room = (
            False  # set by the acceptor when it waits for room: whoever leaves then rings the bell
        )
        self.wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, sock: socket.socket) -> BlockingConnection:
        connection = BlockingConnection(sock, self._setup, self._setup.board.claim("connection"))
        with self._changed:
            self._connections.add(connection)
        return connection

    def start(
        self, connection: BlockingConnection, serve_connection: Callable[[BlockingConnection, Setup], None]
    ) -> None:
        """Give the peer its thread; where none can be had, let it go and say so."""
        try:
            start_thread(
                self._setup.board,
                connection.row,
                serve_connection,
                connection,
                self._setup,
                then=partial(self.remove, connection),
            )
        except RuntimeError:  # the system's limit of threads, or of memory for their stacks
            self.thread_limit_reached = True
            connection.finish()
            self._setup.board.release(connection.row, 0, 0)
            self.remove(connection)

    def remove(self, connection: BlockingConnection) -> None:
        """The conversation's thread has ended, and its row is free."""
        with self._changed:
            self._setup.board.words[connection.fd] &= 0xFF00
            connection.sock.close()
            self._connections.discard(connection)
            if not self._connections:
                self._changed.notify_all()
        if self.waits_for_room:
            os.eventfd_write(self.wakeup_fd, 1)

    def clear_wakeup(self) -> None:
        """The acceptor has heard the bell."""
        os.eventfd_read(self.wakeup_fd)

    def drain(self) -> None:
        """Idle peers may send one last request; the rest has the grace to finish."""
        self._setup.handler.draining = True
        grace_ends_s = time.monotonic() + float(self._setup.knobs.grace_s)
        with self._changed:
            if self._changed.wait_for(lambda: not self._connections, DRAIN_IDLE_S):
                return
            for connection in self._connections:
                if self._setup.board.words[connection.fd] & 0xFF == C_IDLE:
                    with contextlib.suppress(
                        OSError
                    ):  # it has left (ENOTCONN), and its thread has not heard of it yet
                        connection.sock.shutdown(
                            socket.SHUT_RD
                        )  # wakes its recv; what had arrived is still read
            self._changed.wait_for(lambda: not self._connections, max(0.0, grace_ends_s - time.monotonic()))
