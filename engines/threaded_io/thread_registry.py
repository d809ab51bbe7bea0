"""The connection threads of the blocking model: started, counted, and drained."""

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
    """All connections, each with its thread. Thread-safe.

    The lock also guards each close, so `drain` never touches a descriptor that another connection has been
    given.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._changed = threading.Condition()
        self._connections: set[BlockingConnection] = set()
        self.thread_limit_reached = False  # a connection was closed because no thread could be started
        self.waits_for_room = False  # set by the acceptor at its limit: `remove` must wake it then
        self.wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, sock: socket.socket) -> BlockingConnection:
        """Return a connection for `sock`, with a row of the board."""
        connection = BlockingConnection(sock, self._setup, self._setup.board.claim("connection"))
        with self._changed:
            self._connections.add(connection)
        return connection

    def start(
        self, connection: BlockingConnection, serve_connection: Callable[[BlockingConnection, Setup], None]
    ) -> None:
        """Start the connection's thread; if none can be started, close it and set `thread_limit_reached`."""
        try:
            start_thread(
                self._setup.board,
                connection.row,
                serve_connection,
                connection,
                self._setup,
                then=partial(self.remove, connection),
            )
        except RuntimeError:  # the system's limit of threads or memory
            self.thread_limit_reached = True
            connection.finish()
            self._setup.board.release(connection.row, 0, 0)
            self.remove(connection)

    def remove(self, connection: BlockingConnection) -> None:
        """Close the connection, whose thread has ended and whose row is free."""
        with self._changed:
            self._setup.board.words[connection.fd] &= 0xFF00
            connection.sock.close()
            self._connections.discard(connection)
            if not self._connections:
                self._changed.notify_all()
        if self.waits_for_room:
            os.eventfd_write(self.wakeup_fd, 1)

    def clear_wakeup(self) -> None:
        """Clear the wake-up that `remove` has sent. Acceptor's thread only."""
        os.eventfd_read(self.wakeup_fd)

    def drain(self) -> None:
        """Give idle connections time for one last request, and the others the grace period; then return."""
        self._setup.handler.draining = True
        grace_ends_s = time.monotonic() + float(self._setup.knobs.grace_s)
        with self._changed:
            if self._changed.wait_for(lambda: not self._connections, DRAIN_IDLE_S):
                return
            for connection in self._connections:
                if self._setup.board.words[connection.fd] & 0xFF == C_IDLE:
                    with contextlib.suppress(OSError):  # ENOTCONN: the client has just closed it
                        connection.sock.shutdown(socket.SHUT_RD)  # ends recv, after the received bytes
            self._changed.wait_for(lambda: not self._connections, max(0.0, grace_ends_s - time.monotonic()))
