"""One thread's row of the board. Only that thread writes it."""

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

# Cells of a plain request's counters: saves an addition for each of them at each publishing.
_AT_REQUESTS_2XX, _AT_BYTES_IN, _AT_BYTES_OUT = (
    COUNTERS + REQUESTS_2XX,
    COUNTERS + BYTES_IN,
    COUNTERS + BYTES_OUT,
)
_AT_RECV_CALLS, _AT_SEND_CALLS, _AT_WAKEUPS = COUNTERS + RECV_CALLS, COUNTERS + SEND_CALLS, COUNTERS + WAKEUPS


NO_TRACE = memoryview(bytes(8)).cast("Q")  # for rows without a ring, which cannot be traced


class BoardRow:
    """One thread's row of the board. Only that thread writes it.

    `cells` is the shared memory. `mark` is where states are marked, `row.mark[STATE] = READING` (33 ns): the
    cells, or a Tracer. After each wait call `check_trace()` and read `mark` again. Counters of a plain
    request are attributes (`row.recv_calls += 1`, 20 ns); the others are in the thread's array
    (`row.counters[ACCEPTED] += 1`, 90 ns). `publish()` copies all of them to the board, once per wake-up.
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
        self.wakes_per_recv = False  # the thread wakes up once for each recv: wake-ups are not counted apart
        self._ring = ring
        self.tag = slot << 16  # the owner bits of a descriptor word
        self.publish_at_ns = 0  # a worker that never waits publishes again then
        self.counters = array("Q", cells[COUNTERS : COUNTERS + COUNTER_WORDS])
        self.requests_2xx = self.counters[REQUESTS_2XX]
        self.bytes_in, self.bytes_out = self.counters[BYTES_IN], self.counters[BYTES_OUT]
        self.recv_calls, self.send_calls = self.counters[RECV_CALLS], self.counters[SEND_CALLS]
        self.queue_pushes, self.queue_pops = self.counters[QUEUE_PUSHES], self.counters[QUEUE_POPS]
        self.queue_wait_us = self.counters[QUEUE_WAIT_US]
        if self.trace_wanted[0]:
            self.switch_trace()

    def check_trace(self) -> None:
        """Begin or end tracing if that is wanted now. Inlined where it is called per request."""
        if self.trace_wanted[0] != self.tracing:
            self.switch_trace()

    def switch_trace(self) -> None:
        """Begin or end tracing, whichever is wanted now."""
        self.tracing = self.trace_wanted[0]
        self.mark = self.cells
        if self.tracing and self._ring:
            self.mark = Tracer(self.cells, self._ring, self.cells[GENERATION], self.cells[STATE])

    def publish(self) -> None:
        """Copy the counters to the board (0.5 µs). Call once per wake-up, not per request."""
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
        """Copy only what a plain request counts (0.2 µs), for a row with `wakes_per_recv`."""
        cells = self.cells
        cells[_AT_REQUESTS_2XX] = self.requests_2xx
        cells[_AT_BYTES_IN] = self.bytes_in
        cells[_AT_BYTES_OUT] = self.bytes_out
        cells[_AT_RECV_CALLS] = cells[_AT_WAKEUPS] = self.recv_calls
        cells[_AT_SEND_CALLS] = self.send_calls

    def count_queue_wait(self, wait_ns: int) -> None:
        """Count a request that was taken from a queue after `wait_ns`."""
        wait_us = wait_ns // 1000
        self.queue_pops += 1
        self.queue_wait_us += wait_us
        self.counters[QUEUE_WAIT + min(wait_us.bit_length(), QUEUE_WAIT_BUCKETS - 1)] += 1
