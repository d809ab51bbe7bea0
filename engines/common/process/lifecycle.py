"""The process around a model module: signals, lifeline, limits, switch interval, ready line."""

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
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NoReturn

from engines.common.board.board import EngineInfo, make_board
from engines.common.board.writer import Board
from engines.common.calibration import Calibration, calibrate
from engines.common.contract import SPARE_DESCRIPTORS, ModelModule, RequestHandler, Setup, parse_knobs
from engines.common.handler import Handler
from engines.common.http.head_keeping_parser import HeadKeepingParser
from engines.common.http.request_parser import RequestParser
from engines.common.log import log
from engines.common.process.listeners import open_listener
from engines.common.process.threads import EXIT_CRASHED, exit_at_once, exit_on_thread_crash
from engines.common.wsgi.application import ApplicationSpec
from engines.common.wsgi.environ import server_environ
from engines.common.wsgi.handler import ApplicationHandler

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What the command line gives an engine: knobs, address, and descriptors inherited from the parent."""

    knobs: dict[str, int | str]
    host: str = "127.0.0.1"
    port: int = 0
    listen_fd: int | None = None
    board_fd: int | None = None
    ready_fd: int | None = None
    lifeline_fd: int | None = None
    parent_pid: int | None = None
    calibration: Calibration | None = None
    application: ApplicationSpec | None = None  # served in place of the work kinds


def gil_enabled() -> bool:
    """Return whether this interpreter runs with the GIL."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def run(module: ModelModule, options: LaunchOptions) -> None:
    """Serve until the engine must stop. Raises CannotListen, CannotLoad and BadKnob."""
    if options.parent_pid is not None:
        die_with_parent(options.parent_pid)
    exit_on_thread_crash()
    knobs = parse_knobs(module.MODEL, options.knobs)
    set_descriptor_limit(int(knobs["max_connections"]) + SPARE_DESCRIPTORS)
    # Half a microsecond more: CPython truncates, and 0.000251 s would become 250 µs. A fork inherits it.
    sys.setswitchinterval((int(knobs["switch_interval_us"]) + 0.5) / 1e6)
    listener = open_listener(options.host, options.port, knobs, options.listen_fd)
    handler = _handler(module, options, listener)
    if options.application and options.ready_fd is not None:
        # What the application prints is part of the log, line by line.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        sys.stdout = sys.stderr
    if not module.MODEL.has_worker_processes:
        handler.load()
    setup = Setup(
        handler=handler,
        new_parser=HeadKeepingParser if options.application else RequestParser,
        board=_board(module, options, knobs),
        knobs=SimpleNamespace(**knobs),
        stopping=stop_descriptor(options.lifeline_fd),
        ready=_ready_reporter(module, options, listener),
    )
    if options.application:
        _serve_to_the_end(module, listener, setup)
    module.serve(listener, setup)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # a second signal, while the interpreter shuts down


def _serve_to_the_end(module: ModelModule, listener: socket.socket, setup: Setup) -> NoReturn:
    """Serve an application, then end the process: its threads would hold up the end of the interpreter."""
    code = 0
    try:
        module.serve(listener, setup)
    except SystemExit as end:
        log(f"{end}\n")
        code = 1
    except BaseException:
        log(traceback.format_exc())
        code = EXIT_CRASHED
    exit_at_once(code)


def _handler(module: ModelModule, options: LaunchOptions, listener: socket.socket) -> RequestHandler:
    lab_handler = Handler(options.calibration or calibrate())
    if not options.application:
        return lab_handler
    host, port = listener.getsockname()[:2]
    server = server_environ(host, port, module.MODEL.has_worker_processes)
    return ApplicationHandler(options.application, lab_handler, server)


def die_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent thread ends; exit at once if it has ended."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent process ended before this process could follow it")


def set_descriptor_limit(wanted: int) -> None:
    """Set the soft limit of open descriptors to `wanted`, within the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def stop_descriptor(lifeline_fd: int | None) -> int:
    """Return a descriptor that becomes readable on SIGTERM, SIGINT, or the end of the lifeline.

    A Python signal handler alone does not wake a loop, so the C handler writes to a socket. An epoll
    descriptor is readable when one of its members is, which combines socket and lifeline.
    """
    read_end, write_end = socket.socketpair()
    read_end.setblocking(False)
    write_end.setblocking(False)
    signal.set_wakeup_fd(write_end.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return os.dup(epoll_descriptor(read_end.detach(), lifeline_fd))


def epoll_descriptor(*fds: int | None) -> int:
    """Return an epoll descriptor that is readable when one of `fds` is; None is skipped."""
    poll = select.epoll()
    for fd in fds:
        if fd is not None:
            poll.register(fd, select.EPOLLIN)
    _kept_open.append(poll)
    return poll.fileno()


_kept_open: list[select.epoll] = []


def _board(module: ModelModule, options: LaunchOptions, knobs: dict[str, int | str]) -> Board:
    model = module.MODEL
    info = EngineInfo(
        model.name, platform.python_version(), gil_enabled(), tuple(role.name for role in model.roles)
    )
    fd = options.board_fd
    if fd is None:
        fd = make_board(model.board_rows(knobs), model.descriptor_words(knobs))
    return Board(fd, info)


def _ready_reporter(
    module: ModelModule, options: LaunchOptions, listener: socket.socket
) -> Callable[[], None]:
    def ready() -> None:
        host, port = listener.getsockname()[:2]
        line = json.dumps(
            {
                "event": "ready",
                "model": module.MODEL.name,
                "pid": os.getpid(),
                "host": host,
                "port": port,
                "url": f"http://{f'[{host}]' if ':' in host else host}:{port}/",
                "python": platform.python_version(),
                "gil": gil_enabled(),
                "platform": sysconfig.get_platform(),
            }
        )
        if options.ready_fd is None:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        else:
            os.write(options.ready_fd, line.encode() + b"\n")
            os.close(options.ready_fd)

    return ready
