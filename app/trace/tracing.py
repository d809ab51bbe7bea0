"""Switches the thread trace of an engine on and off, and passes it to the recording and to the live view.

During a run the run decides: a traced run is recorded; while an untraced run is measured, viewers cannot
switch the trace on, because it costs CPU. They can if nothing is ranked (concurrent runs, a hot swap).
Between runs an engine traces while a viewer shows its lanes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from app.trace.recording import Recording
from engines.common.board.reader import BoardReader
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

PENDING_MAX = 20  # readings kept for viewers; if there are more, the oldest is dropped, which leaves a gap
READ_INTERVAL_NS = 150_000_000  # read at least this often, so that the rings do not overflow
OFF_UNTRACED_RUN = "off: an untraced run is in progress"
OFF_NO_VIEWER = "off: no viewer shows the lanes"


class Tracing:
    """The trace of one engine. Event loop only. Times are CLOCK_MONOTONIC in ns."""

    def __init__(self, board: BoardReader) -> None:
        self._board = board
        self._reader = board.trace
        self._is_watched = self._is_locked = False
        self._recording: Recording | None = None
        self._read_ns = 0
        self._pending: list[Trace] = []

    @property
    def on(self) -> bool:
        return self._reader.on

    @property
    def state(self) -> str:
        """`on`, or the reason why the trace is off, as shown in frames."""
        return "on" if self.on else OFF_UNTRACED_RUN if self._is_locked else OFF_NO_VIEWER

    def set_watched(self, watched: bool, now_ns: int) -> None:
        """Set whether a viewer shows the lanes. Called before each frame."""
        self._is_watched = watched
        if not watched:
            self._pending.clear()
        self._update(now_ns)

    @contextlib.contextmanager
    def during_run(self, traced: bool, lock: bool) -> Iterator[Recording | None]:
        """Record in a `with` block if `traced`; with `lock`, viewers cannot switch the trace on in it.

        Yields the recording, which is complete after the block; None if the run is not traced.
        """
        now_ns = time.monotonic_ns()
        if traced and self.on:  # earlier changes are not part of the run
            self.read(now_ns)
        self._recording = recording = Recording(now_ns) if traced else None
        begun, untraced_threads = self._board.untraced_threads()
        self._is_locked = lock
        self._update(now_ns)
        try:
            yield recording
            self.read(time.monotonic_ns())
        finally:
            if recording:
                recording.untraced = untraced_threads + self._board.untraced_threads()[0] - begun
            self._is_locked, self._recording = False, None
            self._update(time.monotonic_ns())

    def read_if_due(self, now_ns: int) -> None:
        """Read if a run is recorded, or if the last reading is older than READ_INTERVAL_NS."""
        if self._recording or now_ns - self._read_ns > READ_INTERVAL_NS:
            self.read(now_ns)

    def read(self, now_ns: int) -> None:
        """Read the changes since the last reading."""
        if not self.on:
            return
        self._read_ns = now_ns
        trace = self._reader.read(now_ns)
        if self._recording:
            self._recording.add(trace, self._board)
        if self._is_watched:
            self._pending = [*self._pending[1 - PENDING_MAX :], trace]

    def take_pending(self, now_ns: int) -> Trace | None:
        """Return all changes since the last call as one interval; None if there is none."""
        self.read(now_ns)
        traces, self._pending = self._pending, []
        if not traces:
            return None
        return traces[0] if len(traces) == 1 else merge(traces)

    def _update(self, now_ns: int) -> None:
        wanted = self._recording is not None or (self._is_watched and not self._is_locked)
        if wanted and not self.on:
            self._reader.begin(now_ns)
        elif self.on and not wanted:
            self._reader.end()
            self._pending.clear()


def merge(traces: list[Trace]) -> Trace:
    """Return consecutive intervals as one. A lane gets a GAP where a later interval has no start state."""
    lanes: dict[tuple[int, int], Lane] = {}
    for trace in traces:
        for lane in trace.lanes:
            key = lane.slot, lane.generation
            earlier = lanes.get(key)
            if earlier is None:
                lanes[key] = lane
                continue
            gap = [trace.from_ns << STATE_BITS | GAP] if lane.start == UNKNOWN else []
            lanes[key] = replace(
                earlier, lost=earlier.lost + lane.lost, changes=[*earlier.changes, *gap, *lane.changes]
            )
    return Trace(traces[0].from_ns, traces[-1].to_ns, tuple(lanes.values()))
