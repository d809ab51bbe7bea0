"""Blocking: one thread for each connection.

    acceptor             accept ──> start a thread
    connection threads   recv (blocks) ──> handle ──> send (blocks) ──┐
                          ^───────────────────────────────────────────┘

Each conversation reads like a script, from top to bottom: the kernel's scheduler does the multiplexing. A slow
handler delays only its own peer. The price is a thread for each connection, also for the silent ones: stack,
kernel stack, and a context switch for nearly every request. Watch the threads grow with the idle crowd, and
switches and memory with them.
"""

from __future__ import annotations

import select
import socket
import threading
from functools import partial

from engines.common.acceptor import PAUSE_S, Acceptor
from engines.common.answer import answer_some
from engines.common.board import ACCEPTING, C_HANDLING, HANDLING, READING, STATE, WAIT_CALLS, WAITING, WRITING, Row
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.crowd import Conversation, Crowd
from engines.common.last_call import refuse_newcomers
from engines.common.threads import start_thread


def serve(listener: socket.socket, setup: Setup) -> None:
    """Accept on this thread, and start a thread for each connection, until told to stop."""
    threading.stack_size(setup.knobs.stack_kib * 1024)
    row = setup.board.claim("acceptor")
    setup.board.enter(row)
    crowd = Crowd(setup)
    acceptor = Acceptor(listener, setup.board, row, min(setup.knobs.max_threads, setup.knobs.max_connections))
    setup.ready()
    accept(acceptor, crowd, setup, row)
    crowd.drain()


def accept(acceptor: Acceptor, crowd: Crowd, setup: Setup, row: Row) -> None:
    poll = select.poll()
    poll.register(setup.stopping, select.POLLIN)
    poll.register(crowd.bell, select.POLLIN)
    listening = asked_to_stop = False
    while not asked_to_stop:
        if acceptor.resume(len(crowd)) != listening:  # a paused listener stays readable: do not wait for it
            listening = not listening
            poll.register(acceptor.listener, select.POLLIN if listening else 0)
        row.cells[STATE] = WAITING
        row.tally[WAIT_CALLS] += 1
        crowd.full = not listening
        ready = {fd for fd, _ in poll.poll(None if listening else PAUSE_S * 1000)}
        asked_to_stop = setup.stopping in ready
        if crowd.bell in ready:
            crowd.hear()
        accept_waiting(acceptor, crowd, setup, row)
        row.publish()
    refuse_newcomers(acceptor.listener)
    while accept_waiting(acceptor, crowd, setup, row):
        pass  # the kernel has already let them in: they are served before we go
    acceptor.listener.close()


def accept_waiting(acceptor: Acceptor, crowd: Crowd, setup: Setup, row: Row) -> int:
    """A thread for each connection that waits in the accept queue."""
    row.cells[STATE] = ACCEPTING
    taken = 0
    for sock in acceptor.accept(len(crowd)):
        taken += 1
        conversation = crowd.join(sock)
        leave = partial(crowd.leave, conversation)
        start_thread(setup.board, conversation.row, talk, conversation, setup, then=leave)
    return taken


def talk(peer: Conversation, setup: Setup) -> None:
    """One peer's whole life, on a thread of its own."""
    row, words = peer.row, setup.board.words
    mark = row.cells
    while not peer.over:
        mark[STATE] = WAITING
        data = peer.recv()
        mark[STATE] = READING
        todo = peer.inbox.feed(data)
        while todo and not peer.over:
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(todo, setup.handle, row)
            mark[STATE] = WRITING
            peer.send(answer)
            if not request.keep_alive:
                peer.last(request)
        peer.rest()
        row.publish_plain()
    peer.end()


MODEL = Model(
    name="blocking",
    title="Blocking threads",
    order=1,
    aliases=("thread per connection",),
    summary="A thread for each connection does read, handle, write, and sleeps in between.",
    roles=(
        Role("acceptor", "acceptor", "accepts, and starts a thread for each connection", "the greeter at the door"),
        Role("connection", "connection", "reads, handles and writes for one peer", "a waiter for each table, always"),
    ),
    knobs=(
        Knob("max_threads", 12000, "Connections served at once; beyond them it stops accepting.", 1, 30000, "threads"),
        Knob("stack_kib", 256, "Stack of each connection thread.", 64, 8192, "KiB"),
    ),
    pros=(
        "The simplest code: a conversation reads from top to bottom.",
        "A slow handler delays only its own peer.",
        "Handlers that wait or release the GIL overlap by themselves.",
    ),
    cons=(
        "An idle connection still costs a thread: stack, kernel stack, a place in the scheduler.",
        "Nearly every request is a context switch.",
        "The number of threads follows the number of connections, not the work.",
    ),
    used_by=("Apache prefork and worker MPM", "PostgreSQL (a process each)", "MySQL's default", "classic Tomcat BIO"),
)
