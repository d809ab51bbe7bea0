"""Lines of an engine's stderr as events: a few per second, and a count of the suppressed ones."""

from __future__ import annotations

import time
from collections.abc import Callable

LINES_PER_S = 10
LINE_CHARACTERS_MAX = 500  # longer lines are cut; the engine's log has the whole line


class RateLimiter:
    """Passes at most LINES_PER_S lines of one engine to `emit`. Event loop only."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._second = 0
        self._emitted = self._suppressed = 0  # in the current second

    def add(self, line: str) -> None:
        """Emit a line, or count it as suppressed."""
        second = int(time.monotonic())
        if second != self._second:
            self.flush()
            self._second, self._emitted = second, 0
        if self._emitted < LINES_PER_S:
            self._emitted += 1
            self._emit(line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}…")
        else:
            self._suppressed += 1

    def flush(self) -> None:
        """Emit how many lines were suppressed, if any."""
        if self._suppressed:
            self._emit(f"… {self._suppressed:,} more lines suppressed; see the log of the engine")
            self._suppressed = 0
