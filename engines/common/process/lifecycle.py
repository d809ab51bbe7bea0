"""The process around a lesson: signals, life-line, descriptor limit, listening socket, the ready line."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import select
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from engines.common.board.board import Board, Note, make_board
from engines.common.contract import SPARE_DESCRIPTORS, Lesson, Setup, parse_knobs
from engines.common.process.threads import die_whole
from engines.common.work import Calibration, Handler, calibrate

PR_SET_PDEATHSIG = 1
UNSENT_BYTES = 128 * 1024


class CannotListen(Exception):
    """The address cannot be bound; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the parent lends an engine: descriptors it inherits, and what was measured once for all engines."""

    knobs: dict[str, int | str]
    host: str = "127.0.0.1"
    port: int = 0
    listen_fd: int | None = None
    board_fd: int | None = None
    ready_fd: int | None = None
    lifeline_fd: int | None = None
    parent_pid: int | None = None
    calibration: Calibration | None = None


def gil_is_on() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def run(lesson: Lesson, order: Order) -> None:
    """Serve until told to stop. Raises CannotListen."""
    if order.parent_pid is not None:
        die_with_parent(order.parent_pid)
    die_whole()
    knobs = parse_knobs(lesson.MODEL, order.knobs)
    allow_descriptors(int(knobs["max_connections"]) + SPARE_DESCRIPTORS)
    listener = _listener(order, int(knobs["backlog"]))
    setup = Setup(
        handler=Handler(order.calibration or calibrate()),
        board=_board(lesson, order, knobs),
        knobs=SimpleNamespace(**knobs),
        stopping=stopping(order.lifeline_fd),
        ready=_announcer(lesson, order, listener),
    )
    lesson.serve(listener, setup)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, signal.SIG_IGN
        )  # told again while the interpreter tidies up: it is going already


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill us when the thread that forked us ends; end at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the control plane ended before the engine began")


def allow_descriptors(wanted: int) -> None:
    """Set our own descriptor limit to what the knobs allow (within the hard limit), so that it can be reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def stopping(lifeline_fd: int | None) -> int:
    """A descriptor that becomes readable on SIGTERM, SIGINT, or when the parent's end of the life-line closes.

    A handler in Python alone does not wake a loop from its wait, so the C handler writes to a socket. An epoll
    descriptor is itself readable when one of its members is: that makes one of the two.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    both = os.dup(epoll_of(ours.detach(), lifeline_fd))
    return both


def epoll_of(*fds: int | None) -> int:
    poll = select.epoll()
    for fd in fds:
        if fd is not None:
            poll.register(fd, select.EPOLLIN)
    _kept_open.append(poll)
    return poll.fileno()


_kept_open: list[select.epoll] = []


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}:{port}: {reason}") from error


def _listener(order: Order, backlog: int) -> socket.socket:
    if order.listen_fd is not None:
        listener = socket.socket(fileno=order.listen_fd)
    else:
        listener = _listen(order.host, order.port, backlog)
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    # Inherited too: what a peer does not read lies with us, where it is bounded, not in 4 MB of the kernel's memory.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return listener


def _board(lesson: Lesson, order: Order, knobs: dict[str, int | str]) -> Board:
    model = lesson.MODEL
    note = Note(model.name, platform.python_version(), gil_is_on(), tuple(role.name for role in model.roles))
    fd = order.board_fd
    if fd is None:
        fd = make_board(model.thread_rows(knobs), model.descriptor_words(knobs))
    return Board(fd, note)


def _announcer(lesson: Lesson, order: Order, listener: socket.socket) -> Callable[[], None]:
    def ready() -> None:
        host, port = listener.getsockname()[:2]
        line = json.dumps(
            {
                "event": "ready",
                "model": lesson.MODEL.name,
                "pid": os.getpid(),
                "host": host,
                "port": port,
                "url": f"http://{f'[{host}]' if ':' in host else host}:{port}/",
                "python": platform.python_version(),
                "gil": gil_is_on(),
                "platform": sysconfig.get_platform(),
            }
        )
        if order.ready_fd is None:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        else:
            os.write(order.ready_fd, line.encode() + b"\n")
            os.close(order.ready_fd)

    return ready
