"""A recording: every change of state of an engine's threads while a traced run went, as a file keeps it.

Bounded by count: what came after the last change that fits is cut, and the recording says from when on.
"""

from __future__ import annotations

import json
import zlib
from array import array
from dataclasses import dataclass, field

from engines.common.board import ENDED
from engines.common.board_reader import BoardReader
from engines.common.board_trace import GAP, STATE_BITS, UNKNOWN, Lane, Trace

CHANGES_MAX = 400_000  # 3 MB as they are, some 60 MB as JSON for Perfetto; a plaintext run makes them in 2 to 10 s
VERSION = 1


@dataclass(slots=True)
class RecordedLane:
    """One thread: CLOCK_MONOTONIC in ns << 4 | the new state, for each change. State 14: not known from there on."""

    slot: int
    generation: int
    role: str
    index: int
    tid: int
    lost: int = 0
    changes: array[int] = field(default_factory=lambda: array("Q"))

    def follow(self, from_ns: int, lane: Lane) -> None:
        """Go on with what one reading has brought."""
        start = GAP if lane.start == UNKNOWN else lane.start
        last = self.changes[-1] & 15 if self.changes else ENDED
        if last != start and (not self.changes or start == GAP):
            self.changes.append(from_ns << STATE_BITS | start)
        self.changes.extend(lane.changes)
        self.lost += lane.lost


class Recording:
    """Filled while the run goes; then `pack()`."""

    def __init__(self, from_ns: int) -> None:
        self.from_ns = self.to_ns = from_ns
        self.cut_ns: int | None = None  # nothing was kept from here on
        self.lanes: dict[tuple[int, int], RecordedLane] = {}
        self._count = 0

    @property
    def changes(self) -> int:
        return self._count

    @property
    def lost(self) -> int:
        return sum(lane.lost for lane in self.lanes.values())

    def add(self, trace: Trace, board: BoardReader) -> None:
        """Keep what one reading has brought, as long as it fits."""
        if self.cut_ns is not None:
            return
        if self._count + sum(len(lane.changes) + 1 for lane in trace.lanes) > CHANGES_MAX:
            self.cut_ns = trace.from_ns
            return
        self.to_ns = trace.to_ns
        fresh = [lane for lane in trace.lanes if (lane.slot, lane.generation) not in self.lanes]
        if fresh:
            self._meet({(lane.slot, lane.generation) for lane in fresh}, board)
        for lane in trace.lanes:
            kept = self.lanes[lane.slot, lane.generation]
            kept.follow(trace.from_ns, lane)
            self._count += len(lane.changes) + 1

    def _meet(self, keys: set[tuple[int, int]], board: BoardReader) -> None:
        """Name the new lanes. One whose thread has ended already goes by what its row still says."""
        by_slot = {slot: (role, index, tid) for slot, role, index, tid in board.names()}
        for slot, generation in sorted(keys):
            self.lanes[slot, generation] = RecordedLane(slot, generation, *by_slot[slot])

    def pack(self) -> bytes:
        """As a file keeps it: one line of JSON and the changes behind it, compressed."""
        head = {
            "version": VERSION, "from_ns": self.from_ns, "to_ns": self.to_ns, "cut_ns": self.cut_ns,
            "lanes": [
                [lane.slot, lane.generation, lane.role, lane.index, lane.tid, lane.lost, len(lane.changes)]
                for lane in self.lanes.values()
            ],
        }  # fmt: skip
        body = b"".join(lane.changes.tobytes() for lane in self.lanes.values())
        return zlib.compress(json.dumps(head).encode() + b"\n" + body, 1)
