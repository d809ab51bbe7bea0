"""Rates of the last second of an engine: throughput, and the cost of a request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.fleet.board import BoardReading
from app.load.protocol.histogram import SAMPLES_ABOVE_MIN
from app.machine.proc import ProcessReading

WINDOW_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """What an engine has counted up to one sample. `queue_wait`: waits by bucket; bucket i is below 2^i µs.

    None: not known, because the server has no board, or it could not be read.
    """

    at_ns: int  # CLOCK_MONOTONIC
    requests: int | None
    io_calls: int | None
    bytes_in: int | None
    bytes_out: int | None
    queue_pops: int | None
    queue_wait_us: int | None
    queue_wait: tuple[int, ...]
    cpu_ns: int | None
    switches: int | None

    @classmethod
    def from_readings(
        cls, at_ns: int, board: BoardReading, process: ProcessReading | None, live_switches: int | None
    ) -> Totals:
        """Return the totals of one sample.

        live_switches: context switches of all live threads; those of ended threads are in the board's
        counters.
        """
        counters = board.counters
        ended = counters.get("voluntary_switches", 0) + counters.get("involuntary_switches", 0)
        return cls(
            at_ns,
            board.requests,
            board.io_calls,
            counters.get("bytes_in"),
            counters.get("bytes_out"),
            counters.get("queue_pops"),
            counters.get("queue_wait_us"),
            board.queue_wait,
            process.cpu_ns if process else None,
            live_switches + ended if live_switches is not None else None,
        )


@dataclass(frozen=True, slots=True)
class RequestCost:
    """Mean values of the last second. None: unknown, or there was no request."""

    cpu_us_per_request: float | None = None
    io_calls_per_request: float | None = None
    switches_per_request: float | None = None
    switches_per_s: float | None = None
    queue_wait_us: float | None = None
    queue_wait_p99_us: float | None = None
    bytes_in_per_s: float | None = None
    bytes_out_per_s: float | None = None


class RateWindow:
    """The totals of the last second, and of one sample before it. Event loop only."""

    def __init__(self) -> None:
        self._totals: deque[Totals] = deque()

    def add(self, totals: Totals) -> None:
        """Add the newest totals and remove those that are too old."""
        self._totals.append(totals)
        while len(self._totals) > 2 and totals.at_ns - self._totals[1].at_ns >= WINDOW_NS:
            self._totals.popleft()

    def requests_per_s(self) -> float | None:
        """Return the throughput; None until there are two samples.

        It is a mean over a second because an event loop counts once per wake-up. A wake-up with many slow
        requests takes longer than the sampling interval: between two samples the rate would be 0, and then
        far too high.
        """
        if len(self._totals) < 2:
            return None
        first, last = self._totals[0], self._totals[-1]
        return _rate(_increase(first.requests, last.requests), (last.at_ns - first.at_ns) / 1e9)

    def request_cost(self, loaded_per_s: float | None = None) -> RequestCost:
        """Return the cost per request; every field is None until there are two samples.

        `loaded_per_s`: the throughput by the load generator, for a server in which nothing counts.
        """
        if len(self._totals) < 2:
            return RequestCost()
        first, last = self._totals[0], self._totals[-1]
        seconds = (last.at_ns - first.at_ns) / 1e9
        counted = _increase(first.requests, last.requests)
        requests = loaded_per_s * seconds if counted is None and loaded_per_s else counted
        pops = _increase(first.queue_pops, last.queue_pops)
        cpu_ns, switches = _increase(first.cpu_ns, last.cpu_ns), _increase(first.switches, last.switches)
        return RequestCost(
            cpu_us_per_request=_per(cpu_ns / 1000 if cpu_ns is not None else None, requests),
            io_calls_per_request=_per(_increase(first.io_calls, last.io_calls), requests),
            switches_per_request=_per(switches, requests),
            switches_per_s=_rate(switches, seconds),
            queue_wait_us=_per(_increase(first.queue_wait_us, last.queue_wait_us), pops),
            queue_wait_p99_us=_p99_us(
                [b - a for a, b in zip(first.queue_wait, last.queue_wait, strict=True)]
            ),
            bytes_in_per_s=_rate(_increase(first.bytes_in, last.bytes_in), seconds),
            bytes_out_per_s=_rate(_increase(first.bytes_out, last.bytes_out), seconds),
        )


def _increase(first: int | None, last: int | None) -> int | None:
    """Return the difference; None if a value is unknown or has decreased.

    A total decreases when a process ends, because its CPU time is then rounded down to ticks.
    """
    return last - first if last is not None and first is not None and last >= first else None


def _per(value: float | None, count: float | None) -> float | None:
    return value / count if value is not None and count else None


def _rate(value: int | None, seconds: float) -> float | None:
    return value / seconds if value is not None else None


def _p99_us(waits: list[int]) -> float | None:
    """Return the upper bound of the bucket that contains the p99; None for too few waits.

    waits: counts by bucket; bucket i is below 2^i µs.
    """
    total = sum(waits)
    if total < SAMPLES_ABOVE_MIN * 100:
        return None
    below = 0
    for bucket, count in enumerate(waits):
        below += count
        if below >= 0.99 * total:
            return float(1 << bucket)
    return None
