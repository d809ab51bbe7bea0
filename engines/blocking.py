"""Blocking: one thread for each connection.

    acceptor             wait ──> accept ──> start a thread
    connection threads   recv (blocks) ──> handle ──> send (blocks) ──┐
                          ^───────────────────────────────────────────┘

Each conversation reads like a script, from top to bottom: the kernel's scheduler does the multiplexing. A slow
handler delays only its own peer. The price is a thread for each connection, also for the silent ones: stack,
kernel stack, and a context switch for nearly every request. Watch the threads grow with the idle crowd, and
switches and memory with them.
"""

from __future__ import annotations

import socket
import threading

from engines.common.board.board import ACCEPTING, C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.http.responses import answer_some
from engines.threaded_io.accept_loop import Door
from engines.threaded_io.connections import Conversation, Crowd


def serve(listener: socket.socket, setup: Setup) -> None:
    """Accept on this thread, and start a thread for each connection, until told to stop."""
    threading.stack_size(setup.knobs.stack_kib * 1024)
    row = setup.board.claim("acceptor")
    setup.board.enter(row)
    crowd = Crowd(setup)
    door = Door(listener, setup, row, crowd)
    setup.ready()
    while door.open:
        row.mark[STATE] = WAITING
        door.wait()
        row.mark[STATE] = ACCEPTING
        for sock in door.accept():
            crowd.start(crowd.join(sock), talk)
        row.publish()
    crowd.drain()


def talk(peer: Conversation, setup: Setup) -> None:
    """One peer's whole life, on a thread of its own."""
    row, words = peer.row, setup.board.words
    while not peer.over:
        row.mark[STATE] = WAITING
        data = peer.recv()
        mark = row.mark
        mark[STATE] = READING
        todo = peer.inbox.feed(data)
        while todo and not peer.over:
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(todo, setup.handler, row)
            mark[STATE] = WRITING
            peer.send(answer, request)
        peer.rest()
        row.publish_plain()
    peer.end()


MODEL = Model(
    name="blocking",
    title="Blocking",
    order=1,
    aliases=("thread per connection",),
    summary="A thread for each connection does read, handle, write, and sleeps in between.",
    roles=(
        Role(
            "acceptor",
            "acceptor",
            "accepts, and starts a thread for each connection",
            "the greeter at the door",
        ),
        Role(
            "connection",
            "connection",
            "reads, handles and writes for one peer",
            "a waiter for each table, always",
        ),
    ),
    knobs=(
        Knob(
            "max_threads",
            12000,
            "Connections served at once; beyond them it stops accepting.",
            1,
            30000,
            "threads",
        ),
        Knob("stack_kib", 256, "Stack of each connection thread.", 64, 8192, "KiB"),
    ),
)
