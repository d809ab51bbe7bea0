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

from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_mix import RequestKind
from app.load.executors.dispatcher import Dispatcher
from app.load.protocol import histogram
from app.load.protocol.meter import CONNECTING, MEASURE, PHASES, MeterWriter

TICK_NS = 20_000_000  # longer ones stall the schedule of the open model: 0.55 ms at 50 ms and 30,000/s
SECOND_NS = 1_000_000_000
NOTHING = histogram.PackedCounts(array("I"), array("Q"))


@dataclass(slots=True)
class Totals:
    """Running totals at one instant; two of them make a second or a window."""

    intended: int = 0
    sent: int = 0
    requests: int = 0
    errors: int = 0
    late: int = 0
    waited: int = 0


@dataclass(slots=True)
class SecondRecord:
    """One second as it was."""

    from_ns: int
    to_ns: int
    phase: int
    counted: Totals
    in_flight: int
    service: histogram.PackedCounts
    response: histogram.PackedCounts


@dataclass(slots=True)
class Recorder:
    """Counts of one shard. `kinds` holds the kinds of every phase begun so far."""

    pool: ConnectionPool
    dispatcher: Dispatcher
    meter: MeterWriter
    kinds: list[RequestKind] = field(default_factory=list)
    seconds: list[SecondRecord] = field(default_factory=list)
    phase: int = CONNECTING
    tick_at: int = 0
    connected_ns: int = 0
    started_ns: int = 0
    measured_from_ns: int = 0
    measured_to_ns: int = 0
    lateness: Counter[int] = field(default_factory=Counter)
    _second_from: int = 0
    _second_totals: Totals = field(default_factory=Totals)
    _done: int = 0
    _done_ns: int = 0
    _bytes: list[int] = field(default_factory=lambda: [0, 0])

    # Phases

    def begin_phase(self, phase: int, now: int, kinds: Sequence[RequestKind] = ()) -> None:
        """A phase begins: the second that was open ends with the phase before."""
        self.collect()
        if self.phase != CONNECTING:
            self._close_second(now)
        else:
            self.started_ns = now
        self._second_from, self._second_totals = now, self.totals()
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
        self.collect()
        while self.phase != CONNECTING and now >= self._second_from + SECOND_NS:
            self._close_second(self._second_from + SECOND_NS)
        self.publish(now)
        second_ends = self._second_from + SECOND_NS
        self.tick_at = min(now + TICK_NS, second_ends) if second_ends > now else now + TICK_NS

    def collect(self) -> None:
        """Count what the loops appended since the last time."""
        for kind in self.kinds:
            if values := kind.service_us:
                self._collect_kind(kind, values)
        if lateness := self.dispatcher.lateness_us:
            self.lateness.update(lateness)
            lateness.clear()

    def _collect_kind(self, kind: RequestKind, values: list[int]) -> None:
        kind.completed += len(values)
        self._done += len(values)
        self._done_ns += sum(values) * 1000 + len(values) * 500  # µs were cut off: half of one on average
        kind.bytes_in += len(values) * max(kind.expected_bytes, 0)
        self.meter.count(values, kind.second_service, self.meter.service)
        if kind.response_us is not values:
            self.meter.count(kind.response_us, kind.second_response, self.meter.response)
            kind.response_us.clear()
            kind.second_corrected.update(kind.corrected_us)
            kind.corrected_us.clear()
        values.clear()

    def _close_second(self, to_ns: int) -> None:
        totals = self.totals()
        service, response = self._fold_second()
        if to_ns > self._second_from:
            counted = _difference(totals, self._second_totals)
            self.seconds.append(
                SecondRecord(
                    self._second_from,
                    to_ns,
                    self.phase,
                    counted,
                    self.dispatcher.in_flight,
                    service,
                    response,
                )
            )
        self._second_from, self._second_totals = to_ns, totals

    def _fold_second(self) -> tuple[histogram.PackedCounts, histogram.PackedCounts]:
        """Quantise the counts of a second into the totals of its kinds and into one row of all kinds."""
        services: dict[int, int] = {}
        responses: dict[int, int] = {}
        for kind in self.kinds:
            _fold(kind.second_service, kind.total_service, services)
            _fold(kind.second_response, kind.total_response, responses)
            histogram.add_quantised(kind.second_corrected, kind.total_corrected)
            kind.second_corrected.clear()
        if not self.dispatcher.is_open:
            packed = histogram.PackedCounts.from_counts(services)
            return packed, packed
        return histogram.PackedCounts.from_counts(services), histogram.PackedCounts.from_counts(responses)

    # Readings

    def totals(self) -> Totals:
        dispatcher, pool = self.dispatcher, self.pool
        sent = self._done + pool.request_errors + dispatcher.in_flight
        errors = pool.request_errors + pool.errors.total()
        intended = dispatcher.intended if dispatcher.is_open else sent
        return Totals(intended, sent, self._done, errors, dispatcher.late, dispatcher.waited)

    def in_flight_ns(self, now: int) -> int:
        """Request-nanoseconds in flight so far: those over, and the part of those still going."""
        self.collect()
        unfinished = sum(
            (now - connection.in_flight_since) * connection.in_flight
            for connection in self.pool.connections
            if connection.in_flight_since
        )
        return self._done_ns + self.pool.failed_ns + unfinished

    def publish(self, now: int) -> None:
        totals, pool = self.totals(), self.pool
        bytes_in = sum(kind.bytes_in for kind in self.kinds)
        bytes_out = sum(kind.sent * kind.request_bytes for kind in self.kinds)
        self.meter.publish(
            (
                self.phase,
                self.connected_ns,
                self.started_ns,
                self.measured_from_ns,
                self.measured_to_ns,
                totals.intended,
                totals.sent,
                totals.requests,
                totals.errors,
                self.dispatcher.in_flight,
                pool.connected,
                pool.idle_held,
                totals.late,
                totals.waited,
                pool.reconnects,
                time.process_time_ns(),
                bytes_in,
                bytes_out,
                now,
            )
        )

    def phase_of(self, row: SecondRecord) -> str:
        return PHASES[row.phase]


def _fold(second: dict[int, int], total: dict[int, int], row: dict[int, int]) -> None:
    if second:
        histogram.add_quantised(second, total)
        histogram.add_quantised(second, row)
        second.clear()


def _difference(later: Totals, earlier: Totals) -> Totals:
    return Totals(
        later.intended - earlier.intended,
        later.sent - earlier.sent,
        later.requests - earlier.requests,
        later.errors - earlier.errors,
        later.late - earlier.late,
        later.waited - earlier.waited,
    )
