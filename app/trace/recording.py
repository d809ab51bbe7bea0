"""The recording of a traced run: every state change of the engine's threads, and the times of its requests.

The number of changes is limited, separately for the warm-up, so that the warm-up leaves room for the
measurement. Changes beyond the limit are dropped, and the recording stores the interval that is missing.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from app.load.protocol.request_times import RequestTimes
from engines.common.board.board import ENDED
from engines.common.board.reader import BoardReader
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

WARMUP_MAX, MEASURED_MAX = 100_000, 400_000  # changes; 4 MB in memory, 45 MB as JSON for Perfetto
VERSION = 2  # 1 had no requests
WORD_BYTES = 8
COMPRESSION_LEVEL = 1
STATE_MASK = (1 << STATE_BITS) - 1  # of a change: the new state


@dataclass(slots=True)
class RecordedLane:
    """The changes of one thread.

    changes: CLOCK_MONOTONIC in ns << 4 | the new state. From a GAP on, the state is unknown.
    lost: changes that were overwritten before they were read.
    """

    slot: int
    generation: int
    role: str
    index: int
    pid: int
    tid: int  # 0 if the thread had ended before its row was read
    lost: int = 0
    changes: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def ended(self) -> bool:
        return not self.changes or self.changes[-1] & STATE_MASK == ENDED

    def append(self, from_ns: int, lane: Lane) -> None:
        """Add the changes of one reading, whose interval began at `from_ns`."""
        start = GAP if lane.start == UNKNOWN else lane.start
        last = self.changes[-1] & STATE_MASK if self.changes else ENDED
        if last != start and (GAP in (start, last) or not self.changes):
            self.changes.append(from_ns << STATE_BITS | start)
        self.changes.extend(lane.changes)
        self.lost += lane.lost

    def state_intervals(self, until_ns: int) -> Iterator[tuple[int, int, int]]:
        """Yield (state, from_ns, to_ns) in order of time; unknown states are left out."""
        state, since_ns = ENDED, 0
        for change in self.changes:
            at_ns = max(since_ns, change >> STATE_BITS)
            if change & STATE_MASK != state:
                if state not in (ENDED, GAP) and at_ns > since_ns:
                    yield state, since_ns, at_ns
                state, since_ns = change & STATE_MASK, at_ns
        if state not in (ENDED, GAP) and until_ns > since_ns:
            yield state, since_ns, until_ns


class Recording:
    """All lanes of a run. Event loop only while the run is in progress; later read with `unpack`.

    from_ns, to_ns: CLOCK_MONOTONIC of the recorded interval. cuts: [from_ns, to_ns] of dropped intervals.
    lanes: by slot and generation. untraced: threads that existed during the run and had no trace ring.
    requests: of the measured window by kind, as the load generator saw them.
    """

    def __init__(self, from_ns: int) -> None:
        self.from_ns = self.to_ns = from_ns
        self.cuts: list[list[int]] = []
        self.lanes: dict[tuple[int, int], RecordedLane] = {}
        self.untraced = 0
        self.requests: dict[str, RequestTimes] = {}
        self._changes_left = WARMUP_MAX
        self._is_full = False

    def begin_measurement(self) -> None:
        """The warm-up is over: apply the limit of the measurement."""
        self._changes_left, self._is_full = MEASURED_MAX, False

    @property
    def lost(self) -> int:
        """How many changes were overwritten before they were read."""
        return sum(lane.lost for lane in self.lanes.values())

    def covers(self, at_ns: int) -> bool:
        """Return whether a time is within the recording or within one of its cuts."""
        return self.from_ns <= at_ns <= max(self.to_ns, *(to_ns for _, to_ns in self.cuts), self.from_ns)

    def add(self, trace: Trace, board: BoardReader) -> None:
        """Add one reading, or a cut if the limit is reached. `board` has the roles and ids of the threads."""
        self._changes_left -= sum(len(lane.changes) + 1 for lane in trace.lanes)
        if self._is_full or self._changes_left < 0:
            return self._add_cut(trace)
        self.to_ns = trace.to_ns
        if any((lane.slot, lane.generation) not in self.lanes for lane in trace.lanes):
            self._add_lanes(trace, board)
        for lane in trace.lanes:
            self.lanes[lane.slot, lane.generation].append(trace.from_ns, lane)

    def _add_cut(self, trace: Trace) -> None:
        """Start a cut, or extend the current one by the interval of `trace`."""
        if not self._is_full:
            self._is_full = True
            self.cuts.append([trace.from_ns, trace.to_ns])
            for lane in self.lanes.values():
                lane.changes.append(trace.from_ns << STATE_BITS | (ENDED if lane.ended else GAP))
        self.cuts[-1][1] = trace.to_ns

    def _add_lanes(self, trace: Trace, board: BoardReader) -> None:
        """Add a lane for each new thread. A thread that has ended gets the role that its row has now."""
        rows = {slot: (role, index, pid, tid) for slot, role, index, pid, tid in board.names()}
        for lane in trace.lanes:
            key = lane.slot, lane.generation
            if key not in self.lanes:
                role, index, pid, tid = rows[lane.slot]
                self.lanes[key] = RecordedLane(*key, role, index, pid, tid if lane.end else 0)

    def pack(self) -> bytes:
        """Return the content of the trace file: a JSON line and the changes, compressed.

        Takes 50 ms for 400,000 changes.
        """
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
            "requests": [[kind, len(times)] for kind, times in self.requests.items()],
        }
        body = b"".join(lane.changes.tobytes() for lane in self.lanes.values())
        body += b"".join(times.to_bytes() for times in self.requests.values())
        return zlib.compress(json.dumps(head).encode() + b"\n" + body, COMPRESSION_LEVEL)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the recording that `pack` has written. Raises zlib.error for other data."""
        line, _, body = zlib.decompress(packed).partition(b"\n")
        head = json.loads(line)
        recording = cls(head["from_ns"])
        recording.to_ns, recording.cuts, recording.untraced = head["to_ns"], head["cuts"], head["untraced"]
        offset = 0
        for *fields, count in head["lanes"]:
            lane = RecordedLane(*fields)
            lane.changes.frombytes(body[offset : offset + WORD_BYTES * count])
            recording.lanes[lane.slot, lane.generation] = lane
            offset += WORD_BYTES * count
        recording._unpack_requests(head, body[offset:])
        return recording

    def _unpack_requests(self, head: dict[str, Any], body: bytes) -> None:
        offset = 0
        for kind, count in head.get("requests", ()):
            size = 2 * WORD_BYTES * count
            self.requests[kind] = RequestTimes.from_bytes(body[offset : offset + size])
            offset += size
