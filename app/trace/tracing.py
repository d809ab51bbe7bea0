"""When an engine traces, and who gets what its threads leave.

A run decides while it goes: traced, it is recorded; not traced, nobody may switch the trace on, or those who look
would change what is measured. Where nothing is ranked (several runs at once, a relay) they may. Between runs an engine
traces while somebody watches its lanes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from app.trace.recording import Recording
from engines.common.board.reader import BoardReader
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

PENDING_MAX = 20  # pieces kept for who comes to take them; older ones make way, and that is a gap
LATE_NS = 150_000_000  # so long after a reading the next is due
MEASURED = "off: a run that is not traced is being measured"
UNWATCHED = "off: nobody watches"


class Tracing:
    """One engine's trace. Event loop only."""

    def __init__(self, board: BoardReader) -> None:
        self._board = board
        self._reader = board.trace
        self._watched = self._locked = False
        self._recording: Recording | None = None
        self._read_ns = 0
        self._pending: list[Trace] = []

    @property
    def on(self) -> bool:
        return self._reader.on

    @property
    def state(self) -> str:
        """`on`, or why it is off, as frames say it."""
        return "on" if self.on else MEASURED if self._locked else UNWATCHED

    def watch(self, watched: bool, now_ns: int) -> None:
        """Whether somebody watches its lanes: said again at each frame."""
        self._watched = watched
        if not watched:
            self._pending.clear()
        self._decide(now_ns)

    @contextlib.contextmanager
    def run(self, traced: bool, lock: bool) -> Iterator[Recording | None]:
        """While a run goes: record it, or (`lock`) keep the trace off whoever watches."""
        now_ns = time.monotonic_ns()
        if traced and self.on:  # begun for viewers: what it has seen so far is no part of the run
            self.read(now_ns)
        self._recording = recording = Recording(now_ns) if traced else None
        begun, there = self._board.untraced_threads()
        self._locked = lock
        self._decide(now_ns)
        try:
            yield recording
            self.read(time.monotonic_ns())
        finally:
            if recording:
                recording.untraced = there + self._board.untraced_threads()[0] - begun
            self._locked, self._recording = False, None
            self._decide(time.monotonic_ns())

    def keep_up(self, now_ns: int) -> None:
        """Ten times a second: read, unless who watches has just done so."""
        if self._recording or now_ns - self._read_ns > LATE_NS:
            self.read(now_ns)

    def read(self, now_ns: int) -> None:
        """Take what the threads have left since the last reading."""
        if not self.on:
            return
        self._read_ns = now_ns
        trace = self._reader.read(now_ns)
        if self._recording:
            self._recording.add(trace, self._board)
        if self._watched:
            self._pending = [*self._pending[1 - PENDING_MAX :], trace]

    def take(self, now_ns: int) -> Trace | None:
        """Everything up to now that was not taken before, as one interval; None when it is off."""
        self.read(now_ns)
        pieces, self._pending = self._pending, []
        if not pieces:
            return None
        return pieces[0] if len(pieces) == 1 else joined(pieces)

    def _decide(self, now_ns: int) -> None:
        wanted = self._recording is not None or (self._watched and not self._locked)
        if wanted and not self.on:
            self._reader.begin(now_ns)
        elif self.on and not wanted:
            self._reader.end()
            self._pending.clear()


def joined(pieces: list[Trace]) -> Trace:
    """Intervals that follow each other as one; where a later one does not know how a lane went on, there is a gap."""
    lanes: dict[tuple[int, int], Lane] = {}
    for piece in pieces:
        for lane in piece.lanes:
            key = lane.slot, lane.generation
            so_far = lanes.get(key)
            if so_far is None:
                lanes[key] = lane
                continue
            gap = [piece.from_ns << STATE_BITS | GAP] if lane.start == UNKNOWN else []
            lanes[key] = replace(
                so_far, lost=so_far.lost + lane.lost, changes=[*so_far.changes, *gap, *lane.changes]
            )
    return Trace(pieces[0].from_ns, pieces[-1].to_ns, tuple(lanes.values()))
