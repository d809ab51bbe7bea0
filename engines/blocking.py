"""Blocking: one thread for each connection.

    acceptor             wait ──> accept ──> start a thread
    connection threads   recv (blocks) ──> handle ──> send (blocks) ──┐
                          ^───────────────────────────────────────────┘

The code of a connection reads from top to bottom, and the kernel's scheduler does the multiplexing. A slow
handler delays only its own connection. The cost is a thread for each connection, idle ones included: a stack,
a kernel stack, and a context switch for nearly every request. Watch the number of threads follow the number
of idle connections, and memory and context switches follow the threads.
"""

from __future__ import annotations

import socket
import threading

from engines.common.board.board import ACCEPTING, C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.handler import handle_pending
from engines.threaded_io.accept_loop import AcceptLoop
from engines.threaded_io.connection import BlockingConnection
from engines.threaded_io.thread_registry import ThreadRegistry


def serve(listener: socket.socket, setup: Setup) -> None:
    """Accept on this thread and start a thread for each connection, until the engine must stop."""
    threading.stack_size(setup.knobs.stack_kib * 1024)
    row = setup.board.claim("acceptor")
    setup.board.attach(row)
    threads = ThreadRegistry(setup)
    accept_loop = AcceptLoop(listener, setup, row, threads)
    setup.ready()
    while accept_loop.running:
        row.mark[STATE] = WAITING
        accept_loop.wait()
        row.mark[STATE] = ACCEPTING
        for sock in accept_loop.accept():
            threads.start(threads.add(sock), serve_connection)
        row.publish()
    threads.drain()


def serve_connection(connection: BlockingConnection, setup: Setup) -> None:
    """Serve one connection from its first byte to its last, on its own thread."""
    row, words = connection.row, setup.board.words
    while not connection.done:
        row.mark[STATE] = WAITING
        data = connection.recv()
        mark = row.mark
        mark[STATE] = READING
        pending = connection.parser.feed(data)
        while pending and not connection.done:
            mark[STATE] = HANDLING
            words[connection.fd] = connection.tag | C_HANDLING
            response, request = handle_pending(pending, setup.handler, row)
            mark[STATE] = WRITING
            connection.send(response, request)
        connection.update()
        row.publish_request_counters()
    connection.finish()


MODEL = Model(
    name="blocking",
    title="Blocking",
    order=1,
    summary="One thread per connection reads, handles and writes; it blocks while the connection is idle.",
    roles=(
        Role("acceptor", "acceptor", "accepts connections and starts a thread for each"),
        Role("connection", "connection", "reads, handles and writes for one connection", ("max_threads",)),
    ),
    knobs=(
        Knob(
            "max_threads", 12000, "Connection threads; at the limit it stops accepting.", 1, 30000, "threads"
        ),
        Knob("stack_kib", 256, "Stack size of each connection thread.", 64, 8192, "KiB"),
    ),
)
