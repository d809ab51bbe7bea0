"""The tally: turns what the hot loops leave in lists into seconds, totals and the live meter.

A hot loop only appends a number to a list (23 ns). Every 20 ms the list is counted at C speed; at the end of a second
the counts are quantised and packed. HdrHistograms are made when the load is over: they would stall the loop.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.load.connections.pool import Crew
from app.load.connections.request_mix import Kind
from app.load.executors.dispatcher import Floor
from app.load.protocol import histogram
from app.load.protocol.meter import CONNECTING, MEASURE, PHASES, Meter

TICK_NS = 20_000_000  # longer ones stall the schedule of the open model: 0.55 ms at 50 ms and 30,000/s
SECOND_NS = 1_000_000_000
NOTHING = histogram.Packed(array("I"), array("Q"))


@dataclass(slots=True)
class Marks:
    """Running totals at one instant; two of them make a second or a window."""

    intended: int = 0
    sent: int = 0
    requests: int = 0
    errors: int = 0
    late: int = 0
    waited: int = 0


@dataclass(slots=True)
class Row:
    """One second as it was."""

    from_ns: int
    to_ns: int
    phase: int
    counted: Marks
    in_flight: int
    service: histogram.Packed
    response: histogram.Packed


@dataclass(slots=True)
class Tally:
    """Counts of one shard. `kinds` holds the kinds of every phase begun so far."""

    crew: Crew
    floor: Floor
    meter: Meter
    kinds: list[Kind] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    phase: int = CONNECTING
    tick_at: int = 0
    connected_ns: int = 0
    started_ns: int = 0
    measured_from_ns: int = 0
    measured_to_ns: int = 0
    lateness: Counter[int] = field(default_factory=Counter)
    _row_from: int = 0
    _row_marks: Marks = field(default_factory=Marks)
    _done: int = 0
    _done_ns: int = 0
    _bytes: list[int] = field(default_factory=lambda: [0, 0])

    # Phases

    def begin(self, phase: int, now: int, kinds: Sequence[Kind] = ()) -> None:
        """A phase begins: the second that was open ends with the phase before."""
        self.take()
        if self.phase != CONNECTING:
            self._close_row(now)
        else:
            self.started_ns = now
        self._row_from, self._row_marks = now, self.marks()
        self.phase = phase
        self.kinds.extend(kinds)
        if phase == MEASURE:
            self.measured_from_ns = now
            self.lateness.clear()
        elif self.measured_from_ns and not self.measured_to_ns:
            self.measured_to_ns = now
        self.tick(now)

    def tick(self, now: int) -> None:
        """Every 20 ms; 0.24 ms at 30,000/s."""
        self.take()
        while self.phase != CONNECTING and now >= self._row_from + SECOND_NS:
            self._close_row(self._row_from + SECOND_NS)
        self.publish(now)
        row_ends = self._row_from + SECOND_NS
        self.tick_at = min(now + TICK_NS, row_ends) if row_ends > now else now + TICK_NS

    def take(self) -> None:
        """Count what the loops appended since the last time."""
        for kind in self.kinds:
            if values := kind.service:
                self._take_kind(kind, values)
        if lateness := self.floor.lateness_us:
            self.lateness.update(lateness)
            lateness.clear()

    def _take_kind(self, kind: Kind, values: list[int]) -> None:
        kind.done += len(values)
        self._done += len(values)
        self._done_ns += sum(values) * 1000 + len(values) * 500  # µs were cut off: half of one on average
        kind.bytes_in += len(values) * max(kind.length, 0)
        self.meter.count(values, kind.second_service, self.meter.service)
        if kind.response is not values:
            self.meter.count(kind.response, kind.second_response, self.meter.response)
            kind.response.clear()
            kind.second_corrected.update(kind.corrected)
            kind.corrected.clear()
        values.clear()

    def _close_row(self, to_ns: int) -> None:
        marks = self.marks()
        service, response = self._fold_second()
        if to_ns > self._row_from:
            counted = _difference(marks, self._row_marks)
            self.rows.append(
                Row(self._row_from, to_ns, self.phase, counted, self.floor.in_flight, service, response)
            )
        self._row_from, self._row_marks = to_ns, marks

    def _fold_second(self) -> tuple[histogram.Packed, histogram.Packed]:
        """Quantise the counts of a second into the totals of its kinds and into one row of all kinds."""
        services: dict[int, int] = {}
        responses: dict[int, int] = {}
        for kind in self.kinds:
            _move(kind.second_service, kind.total_service, services)
            _move(kind.second_response, kind.total_response, responses)
            histogram.fold(kind.second_corrected, kind.total_corrected)
            kind.second_corrected.clear()
        if not self.floor.is_open:
            packed = histogram.Packed.of(services)
            return packed, packed
        return histogram.Packed.of(services), histogram.Packed.of(responses)

    # Readings

    def marks(self) -> Marks:
        floor, crew = self.floor, self.crew
        sent = self._done + crew.request_errors + floor.in_flight
        errors = crew.request_errors + crew.errors.total()
        intended = floor.intended if floor.is_open else sent
        return Marks(intended, sent, self._done, errors, floor.late, floor.waited)

    def held_ns(self, now: int) -> int:
        """Request-nanoseconds in flight so far: those over, and the part of those still going."""
        self.take()
        going = sum((now - peer.asked_at) * peer.owed for peer in self.crew.peers if peer.asked_at)
        return self._done_ns + self.crew.lost_ns + going

    def publish(self, now: int) -> None:
        marks, crew = self.marks(), self.crew
        bytes_in = sum(kind.bytes_in for kind in self.kinds)
        bytes_out = sum(kind.sent * kind.request_bytes for kind in self.kinds)
        self.meter.publish(
            (
                self.phase,
                self.connected_ns,
                self.started_ns,
                self.measured_from_ns,
                self.measured_to_ns,
                marks.intended,
                marks.sent,
                marks.requests,
                marks.errors,
                self.floor.in_flight,
                crew.connected,
                crew.held,
                marks.late,
                marks.waited,
                crew.reconnects,
                time.process_time_ns(),
                bytes_in,
                bytes_out,
                now,
            )
        )

    def phase_of(self, row: Row) -> str:
        return PHASES[row.phase]


def _move(second: dict[int, int], total: dict[int, int], row: dict[int, int]) -> None:
    if second:
        histogram.fold(second, total)
        histogram.fold(second, row)
        second.clear()


def _difference(later: Marks, earlier: Marks) -> Marks:
    return Marks(
        later.intended - earlier.intended,
        later.sent - earlier.sent,
        later.requests - earlier.requests,
        later.errors - earlier.errors,
        later.late - earlier.late,
        later.waited - earlier.waited,
    )
