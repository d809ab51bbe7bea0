"""x"""

from __future__ import annotations

from array import array

from engines.common.board.board import (
    BYTES_IN,
    BYTES_OUT,
    COUNTER_WORDS,
    COUNTERS,
    GENERATION,
    QUEUE_POPS,
    QUEUE_PUSHES,
    QUEUE_WAIT,
    QUEUE_WAIT_BUCKETS,
    QUEUE_WAIT_US,
    RECV_CALLS,
    REQUESTS_2XX,
    SEND_CALLS,
    STATE,
    WAKEUPS,
)
from engines.common.board.trace import Tracer

# Where the counters of a plain request are in a row: an addition saved for each, at each publishing.
_AT_REQUESTS_2XX, _AT_BYTES_IN, _AT_BYTES_OUT = (
    COUNTERS + REQUESTS_2XX,
    COUNTERS + BYTES_IN,
    COUNTERS + BYTES_OUT,
)
_AT_RECV_CALLS, _AT_SEND_CALLS, _AT_WAKEUPS = COUNTERS + RECV_CALLS, COUNTERS + SEND_CALLS, COUNTERS + WAKEUPS


NO_TRACE = memoryview(bytes(8)).cast("Q")  # for rows without a ring: no trace is ever wanted of them


class BoardRow:
    """One thread's line on the board. Only that thread writes it.

    `cells` is the shared memory itself, `mark` is where states are marked: `row.mark[STATE] = READING` (33 ns). After
    each wait `look()` whether a trace is wanted, and take `mark` anew.
    What a plain request counts are attributes (`row.recv_calls += 1`, 20 ns); the rest is counted in the thread's
    own array (`row.tally[ACCEPTED] += 1`, 90 ns). `publish()` once per wake-up.
    """

    __slots__ = (
        "_ring",
        "bytes_in",
        "bytes_out",
        "cells",
        "counters",
        "mark",
        "publish_at_ns",
        "queue_pops",
        "queue_pushes",
        "queue_wait_us",
        "recv_calls",
        "requests_2xx",
        "send_calls",
        "slot",
        "tag",
        "trace_wanted",
        "tracing",
        "wakes_per_recv",
    )

    def __init__(
        self, slot: int, cells: memoryview, ring: memoryview | None, trace_wanted: memoryview
    ) -> None:
        self.slot = slot
        self.cells = cells
        self.mark: memoryview | Tracer = cells
        self.trace_wanted = trace_wanted if ring else NO_TRACE
        self.tracing = 0
        self.wakes_per_recv = (
            False  # of a thread that wakes up for each receive: it counts no wake-ups of their own
        )
        self._ring = ring
        self.tag = slot << 16  # the owner's part of a connection word
        self.publish_at_ns = 0  # for a worker: when it publishes again, although it is not about to wait
        self.counters = array("Q", cells[COUNTERS : COUNTERS + COUNTER_WORDS])
        self.requests_2xx = self.counters[REQUESTS_2XX]
        self.bytes_in, self.bytes_out = self.counters[BYTES_IN], self.counters[BYTES_OUT]
        self.recv_calls, self.send_calls = self.counters[RECV_CALLS], self.counters[SEND_CALLS]
        self.queue_pushes, self.queue_pops = self.counters[QUEUE_PUSHES], self.counters[QUEUE_POPS]
        self.queue_wait_us = self.counters[QUEUE_WAIT_US]
        if self.trace_wanted[0]:
            self.switch_trace()

    def check_trace(self) -> None:
        """After a wait: begin to trace, or stop, if that is wanted now. Written out where it is done per request."""
        if self.trace_wanted[0] != self.tracing:
            self.switch_trace()

    def switch_trace(self) -> None:
        """Begin to trace, or stop: whichever is wanted now."""
        self.tracing = self.trace_wanted[0]
        self.mark = self.cells
        if self.tracing and self._ring:
            self.mark = Tracer(self.cells, self._ring, self.cells[GENERATION], self.cells[STATE])

    def publish(self) -> None:
        """Copy the counters to the board (0.5 µs): once per wake-up, not per request."""
        counters = self.counters
        if self.wakes_per_recv:
            counters[WAKEUPS] = self.recv_calls
        counters[REQUESTS_2XX] = self.requests_2xx
        counters[BYTES_IN] = self.bytes_in
        counters[BYTES_OUT] = self.bytes_out
        counters[RECV_CALLS] = self.recv_calls
        counters[SEND_CALLS] = self.send_calls
        counters[QUEUE_PUSHES], counters[QUEUE_POPS] = self.queue_pushes, self.queue_pops
        counters[QUEUE_WAIT_US] = self.queue_wait_us
        self.cells[COUNTERS : COUNTERS + COUNTER_WORDS] = counters

    def publish_request_counters(self) -> None:
        """Copy only what a plain request counts (0.2 µs): for a thread that is `plain`."""
        cells = self.cells
        cells[_AT_REQUESTS_2XX] = self.requests_2xx
        cells[_AT_BYTES_IN] = self.bytes_in
        cells[_AT_BYTES_OUT] = self.bytes_out
        cells[_AT_RECV_CALLS] = cells[_AT_WAKEUPS] = self.recv_calls
        cells[_AT_SEND_CALLS] = self.send_calls

    def count_queue_wait(self, wait_ns: int) -> None:
        """Count a request taken from a queue after `wait_ns`."""
        wait_us = wait_ns // 1000
        self.queue_pops += 1
        self.queue_wait_us += wait_us
        self.counters[QUEUE_WAIT + min(wait_us.bit_length(), QUEUE_WAIT_BUCKETS - 1)] += 1
