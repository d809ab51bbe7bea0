"""What engines say on stderr, as events: a few lines a second at most, and a count of the others."""

from __future__ import annotations

import time
from collections.abc import Callable

LINES_PER_S = 10
LINE_MAX = 500  # characters; the engine's log has the whole line


class Said:
    """One engine's lines. `tell` is told of those that are not too many."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._second = 0
        self._told = self._left_out = 0

    def line(self, text: str) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self.flush()
            self._second, self._told = second, 0
        if self._told < LINES_PER_S:
            self._told += 1
            self._tell(text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]}…")
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Say how many lines were left out."""
        if self._left_out:
            self._tell(f"… and {self._left_out:,} more lines; the engine's log has the last of them")
            self._left_out = 0
