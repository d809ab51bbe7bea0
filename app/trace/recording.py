"""A recording: every change of state of an engine's threads while a traced run went, as a file keeps it.

Bounded by count, the warm-up for itself, so that it leaves room for what is measured. What does not fit is cut, and
the recording says from when to when.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from engines.common.board.board import ENDED
from engines.common.board.reader import BoardReader
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

WARMUP_MAX, MEASURED_MAX = 100_000, 400_000  # changes; 4 MB as they are, 45 MB as JSON for Perfetto
VERSION = 1


@dataclass(slots=True)
class RecordedLane:
    """One thread. `changes`: CLOCK_MONOTONIC in ns << 4 | the new state; GAP: not known from there on."""

    slot: int
    generation: int
    role: str
    index: int
    pid: int
    tid: int  # 0: it had ended before it was named
    lost: int = 0
    changes: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def ended(self) -> bool:
        return not self.changes or self.changes[-1] & 15 == ENDED

    def follow(self, from_ns: int, lane: Lane) -> None:
        """Go on with what one reading has brought."""
        start = GAP if lane.start == UNKNOWN else lane.start
        last = self.changes[-1] & 15 if self.changes else ENDED
        if last != start and (GAP in (start, last) or not self.changes):
            self.changes.append(from_ns << STATE_BITS | start)
        self.changes.extend(lane.changes)
        self.lost += lane.lost

    def stays(self, until_ns: int) -> Iterator[tuple[int, int, int]]:
        """(state, from, to) in ns, one after the other; nothing where the state is not known or there is no thread."""
        state, since = ENDED, 0
        for change in self.changes:
            at = max(since, change >> STATE_BITS)
            if change & 15 != state:
                if state not in (ENDED, GAP) and at > since:
                    yield state, since, at
                state, since = change & 15, at
        if state not in (ENDED, GAP) and until_ns > since:
            yield state, since, until_ns


class Recording:
    """Filled while the run goes; then `pack()`, and for ever after `unpack()`."""

    def __init__(self, from_ns: int) -> None:
        self.from_ns = self.to_ns = from_ns
        self.cuts: list[list[int]] = []  # [from, to]: nothing was kept of it
        self.lanes: dict[tuple[int, int], RecordedLane] = {}
        self.untraced = 0  # threads that were there meanwhile and had no ring
        self._room = WARMUP_MAX
        self._cut = False

    def measuring(self) -> None:
        """The warm-up is over: there is room again."""
        self._room, self._cut = MEASURED_MAX, False

    @property
    def lost(self) -> int:
        """Changes that were overwritten before they were read."""
        return sum(lane.lost for lane in self.lanes.values())

    def has_seen(self, at_ns: int) -> bool:
        """Whether an instant lies in it, be it in a cut."""
        return self.from_ns <= at_ns <= max(self.to_ns, *(to_ns for _, to_ns in self.cuts), self.from_ns)

    def add(self, trace: Trace, board: BoardReader) -> None:
        """Keep what one reading has brought, as long as it fits."""
        self._room -= sum(len(lane.changes) + 1 for lane in trace.lanes)
        if self._cut or self._room < 0:
            return self._leave_out(trace)
        self.to_ns = trace.to_ns
        if any((lane.slot, lane.generation) not in self.lanes for lane in trace.lanes):
            self._meet(trace, board)
        for lane in trace.lanes:
            self.lanes[lane.slot, lane.generation].follow(trace.from_ns, lane)

    def _leave_out(self, trace: Trace) -> None:
        """From here on nothing is known, until there is room again."""
        if not self._cut:
            self._cut = True
            self.cuts.append([trace.from_ns, trace.to_ns])
            for lane in self.lanes.values():
                lane.changes.append(trace.from_ns << STATE_BITS | (ENDED if lane.ended else GAP))
        self.cuts[-1][1] = trace.to_ns

    def _meet(self, trace: Trace, board: BoardReader) -> None:
        """Name the new lanes; one whose thread has ended already goes by what its row says now."""
        rows = {slot: (role, index, pid, tid) for slot, role, index, pid, tid in board.names()}
        for lane in trace.lanes:
            key = lane.slot, lane.generation
            if key not in self.lanes:
                role, index, pid, tid = rows[lane.slot]
                self.lanes[key] = RecordedLane(*key, role, index, pid, tid if lane.end else 0)

    def pack(self) -> bytes:
        """As a file keeps it: a line of JSON, and the changes behind it; compressed. 50 ms for 400,000 changes."""
        head = {
            "version": VERSION,
            "from_ns": self.from_ns,
            "to_ns": self.to_ns,
            "cuts": self.cuts,
            "untraced": self.untraced,
            "lanes": [
                [
                    lane.slot,
                    lane.generation,
                    lane.role,
                    lane.index,
                    lane.pid,
                    lane.tid,
                    lane.lost,
                    len(lane.changes),
                ]
                for lane in self.lanes.values()
            ],
        }
        body = b"".join(lane.changes.tobytes() for lane in self.lanes.values())
        return zlib.compress(json.dumps(head).encode() + b"\n" + body, 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` has made."""
        line, _, body = zlib.decompress(packed).partition(b"\n")
        head = json.loads(line)
        recording = cls(head["from_ns"])
        recording.to_ns, recording.cuts, recording.untraced = head["to_ns"], head["cuts"], head["untraced"]
        at = 0
        for *named, count in head["lanes"]:
            lane = RecordedLane(*named)
            lane.changes.frombytes(body[at : at + 8 * count])
            recording.lanes[lane.slot, lane.generation] = lane
            at += 8 * count
        return recording
