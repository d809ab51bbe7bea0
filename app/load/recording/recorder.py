"""The recorder: turns lists of latencies into seconds, totals and the live meter.

A hot loop only appends a number to a list (23 ns). Every 20 ms the lists are counted at C speed, and at the
end of each second the counts are quantised and packed. HdrHistograms are made when the load is over: they
would stall the loop.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_kind import RequestKind
from app.load.executors.dispatcher import Dispatcher
from app.load.protocol import histogram
from app.load.protocol.meter import CONNECTING, MEASURE, PHASES, MeterWriter

TICK_NS = 20_000_000  # a longer tick delays the open model: 0.55 ms of counting at 50 ms and 30,000/s
SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Totals:
    """Running totals at one instant; the difference of two belongs to a second or a window. See `Outcome`."""

    intended: int = 0
    sent: int = 0
    requests: int = 0
    errors: int = 0
    late: int = 0
    waited: int = 0

    def __sub__(self, earlier: Totals) -> Totals:
        return Totals(
            self.intended - earlier.intended,
            self.sent - earlier.sent,
            self.requests - earlier.requests,
            self.errors - earlier.errors,
            self.late - earlier.late,
            self.waited - earlier.waited,
        )


@dataclass(slots=True)
class SecondRecord:
    """One second of the load (CLOCK_MONOTONIC): its counts, and the latencies that ended in it."""

    from_ns: int
    to_ns: int
    phase: int
    counted: Totals
    in_flight: int
    service: histogram.PackedCounts
    response: histogram.PackedCounts


@dataclass(slots=True)
class Recorder:
    """The counts of one shard. One thread.

    - `kinds`: the kinds of request of every phase so far. `seconds`: the seconds that are over.
    - `phase`: one of PHASES, as its index. `tick_at`: when `tick` is to be called.
    - `connected_ns`, `started_ns`: when all connections were open, and when the load began.
      `measured_from_ns`, `measured_to_ns`: the measured window. CLOCK_MONOTONIC, 0 until known.
    - `lateness`: how often a request of the measured window was handled so many µs late.
    """

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
    _completed: int = 0
    _completed_ns: int = 0

    # Phases

    def begin_phase(self, phase: int, now: int, kinds: Sequence[RequestKind] = ()) -> None:
        """End the current second and start a phase, with the kinds of request that are sent in it."""
        self.collect()
        if self.phase != CONNECTING:
            self._end_second(now)
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
        """Count what was appended, end seconds that are over, and publish.

        Every 20 ms: 0.24 ms at 30,000/s.
        """
        self.collect()
        while self.phase != CONNECTING and now >= self._second_from + SECOND_NS:
            self._end_second(self._second_from + SECOND_NS)
        self.publish(now)
        second_ends = self._second_from + SECOND_NS
        self.tick_at = min(now + TICK_NS, second_ends) if second_ends > now else now + TICK_NS

    def collect(self) -> None:
        """Count the latencies that the hot loops have appended since the last call."""
        for kind in self.kinds:
            if values := kind.service_us:
                self._collect_kind(kind, values)
        if lateness := self.dispatcher.lateness_us:
            self.lateness.update(lateness)
            lateness.clear()

    def _collect_kind(self, kind: RequestKind, values: list[int]) -> None:
        kind.completed += len(values)
        self._completed += len(values)
        # Values are cut off to whole µs: on average they are 0.5 µs too low.
        self._completed_ns += sum(values) * 1000 + len(values) * 500
        kind.bytes_in += len(values) * max(kind.expected_bytes, 0)
        self.meter.count(values, kind.second_service, self.meter.service)
        if kind.response_us is not values:
            self.meter.count(kind.response_us, kind.second_response, self.meter.response)
            kind.response_us.clear()
            kind.second_corrected.update(kind.corrected_us)
            kind.corrected_us.clear()
        values.clear()

    def _end_second(self, to_ns: int) -> None:
        totals = self.totals()
        service, response = self._pack_second()
        if to_ns > self._second_from:
            counted, in_flight = totals - self._second_totals, self.dispatcher.in_flight
            self.seconds.append(
                SecondRecord(self._second_from, to_ns, self.phase, counted, in_flight, service, response)
            )
        self._second_from, self._second_totals = to_ns, totals

    def _pack_second(self) -> tuple[histogram.PackedCounts, histogram.PackedCounts]:
        """Move the counts of a second into the totals of their kinds.

        Returns those of all kinds together: service time and response time, which are the same in the closed
        model.
        """
        services: dict[int, int] = {}
        responses: dict[int, int] = {}
        for kind in self.kinds:
            _move(kind.second_service, kind.total_service, services)
            _move(kind.second_response, kind.total_response, responses)
            histogram.add_quantised(kind.second_corrected, kind.total_corrected)
            kind.second_corrected.clear()
        packed = histogram.PackedCounts.from_counts(services)
        if not self.dispatcher.is_open:
            return packed, packed
        return packed, histogram.PackedCounts.from_counts(responses)

    # Readings

    def totals(self) -> Totals:
        """Return the running totals, as of the last `collect`."""
        dispatcher, pool = self.dispatcher, self.pool
        sent = self._completed + pool.request_errors + dispatcher.in_flight
        errors = pool.request_errors + pool.errors.total()
        intended = dispatcher.intended if dispatcher.is_open else sent
        return Totals(intended, sent, self._completed, errors, dispatcher.late, dispatcher.waited)

    def in_flight_ns(self, now: int) -> int:
        """Return the time in flight in ns, summed over all requests, those in flight included."""
        self.collect()
        waiting = [each for each in self.pool.connections if each.in_flight_since]
        unfinished = sum((now - each.in_flight_since) * each.in_flight for each in waiting)
        return self._completed_ns + self.pool.failed_ns + unfinished

    def publish(self, now: int) -> None:
        """Write the totals into the meter, in the order of `meter.COUNTERS`."""
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

    def phase_of(self, second: SecondRecord) -> str:
        """Return the name of the phase of a second."""
        return PHASES[second.phase]


def _move(second: dict[int, int], total: dict[int, int], all_kinds: dict[int, int]) -> None:
    if second:
        histogram.add_quantised(second, total)
        histogram.add_quantised(second, all_kinds)
        second.clear()
