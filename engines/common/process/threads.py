"""Starting threads that have a row on the board, and never dying half."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from typing import Any

from engines.common.board.row import BoardRow
from engines.common.board.writer import Board

EXIT_CRASHED = 70  # EX_SOFTWARE


def start_thread(
    board: Board,
    row: BoardRow,
    target: Callable[..., None],
    *args: Any,
    then: Callable[[], None] | None = None,
) -> threading.Thread:
    """Run `target(*args)` on a thread of its own that owns `row` from its first to its last line.

    `then` is called last, when the row is free for another thread.
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

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def exit_on_thread_crash() -> None:
    """If any thread ends by an exception that is ours, print it and end the process: half an engine would lie."""

    def crash(args: Any) -> None:
        threading.__excepthook__(args)
        os._exit(EXIT_CRASHED)

    threading.excepthook = crash
