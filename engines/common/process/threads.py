"""Starts threads that own a row of the board, and ends the process when one of them crashes."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from engines.common.board.row import BoardRow
from engines.common.board.writer import Board

EXIT_CRASHED = 70  # EX_SOFTWARE


class EngineThread(threading.Thread):
    """A thread of the engine itself, and not of an application of the user."""


def start_thread(
    board: Board,
    row: BoardRow,
    target: Callable[..., None],
    *args: Any,
    then: Callable[[], None] | None = None,
) -> threading.Thread:
    """Run `target(*args)` on a daemon thread that owns `row` until it ends.

    `then` is called last, when the row is free for another thread. Raises RuntimeError where no thread can be
    started.
    """

    def body() -> None:
        board.attach(row)
        try:
            target(*args)
        finally:
            used = resource.getrusage(resource.RUSAGE_THREAD)
            board.release(row, used.ru_nvcsw, used.ru_nivcsw)
            if then:
                then()

    thread = EngineThread(target=body, daemon=True)
    thread.start()
    return thread


def exit_on_thread_crash() -> None:
    """Make an uncaught exception of an engine's thread print its traceback and end the process with code 70.

    An engine that continues without one of its threads would give wrong measurements. An exception of another
    thread, which the user's application has started, only prints its traceback.
    """

    def crash(args: Any) -> None:
        try:
            threading.__excepthook__(args)
        finally:  # it raises if nobody reads stderr any more
            if isinstance(args.thread, EngineThread):
                exit_at_once(EXIT_CRASHED)

    threading.excepthook = crash


def exit_at_once(code: int) -> NoReturn:
    """End this process without waiting for other threads: those of an application may never end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
