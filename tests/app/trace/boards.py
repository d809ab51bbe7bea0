"""Boards and lanes for tests of the trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from engines.common.board.board import EngineInfo, make_board
from engines.common.board.reader import BoardReader
from engines.common.board.trace_reader import STATE_BITS, Lane
from engines.common.board.writer import Board

MS = 1_000_000  # ns


@contextmanager
def board(rows: int = 4) -> Iterator[tuple[Board, BoardReader]]:
    """A board as the engine writes it, and its reader."""
    fd = make_board(rows, 16)
    reader = BoardReader(fd)
    try:
        yield Board(fd, EngineInfo("reactor", "3.11.7", True, ("reactor", "worker"))), reader
    finally:
        reader.close()
        os.close(fd)


def lane(start: int, *changes: tuple[float, int], lost: int = 0, slot: int = 0) -> Lane:
    """Return a lane with these changes: (time in ms, new state)."""
    return Lane(slot, 1, start, lost, [int(ms * MS) << STATE_BITS | state for ms, state in changes])
