"""The last second of an engine: what a request costs right now."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.machine.proc import ProcessReading
from engines.common.board.reader import Reading

WINDOW_NS = 1_000_000_000
ENOUGH = 10  # waits above a percentile, as for every percentile of the lab


@dataclass(frozen=True, slots=True)
class Total:
    """What an engine has counted up to one look."""

    at_ns: int
    requests: int
    io_calls: int
    bytes_in: int
    bytes_out: int
    queue_pops: int
    queue_wait_us: int
    queue_wait: tuple[int, ...]
    cpu_ns: int | None
    switches: int | None

    @classmethod
    def of(
        cls, at_ns: int, board: Reading, process: ProcessReading | None, live_switches: int | None
    ) -> Total:
        counters = board.counters
        ended = counters["voluntary_switches"] + counters["involuntary_switches"]
        return cls(
            at_ns,
            board.requests,
            board.io_calls,
            counters["bytes_in"],
            counters["bytes_out"],
            counters["queue_pops"],
            counters["queue_wait_us"],
            board.queue_wait,
            process.cpu_ns if process else None,
            live_switches + ended if live_switches is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the last second. None: not known, or nothing was asked for."""

    cpu_us_per_request: float | None = None
    io_calls_per_request: float | None = None
    switches_per_request: float | None = None
    switches_per_s: float | None = None
    queue_wait_us: float | None = None
    queue_wait_p99_us: float | None = None
    bytes_in_per_s: float | None = None
    bytes_out_per_s: float | None = None


class Window:
    """Keeps the looks of a bit more than the last second."""

    def __init__(self) -> None:
        self._totals: deque[Total] = deque()

    def add(self, total: Total) -> None:
        self._totals.append(total)
        while len(self._totals) > 2 and total.at_ns - self._totals[1].at_ns >= WINDOW_NS:
            self._totals.popleft()

    def requests_per_s(self) -> float | None:
        """None while there is one look. A loop counts once per wake-up, and a wake-up with many slow requests takes
        longer than from one look to the next: between two looks it would be 0, and then all of them."""
        if len(self._totals) < 2:
            return None
        then, now = self._totals[0], self._totals[-1]
        return (now.requests - then.requests) / ((now.at_ns - then.at_ns) / 1e9)

    def cost(self) -> Cost:
        if len(self._totals) < 2:
            return Cost()
        then, now = self._totals[0], self._totals[-1]
        seconds = (now.at_ns - then.at_ns) / 1e9
        requests, pops = now.requests - then.requests, now.queue_pops - then.queue_pops
        cpu_ns, switches = _grown(then.cpu_ns, now.cpu_ns), _grown(then.switches, now.switches)
        return Cost(
            cpu_us_per_request=_per(cpu_ns / 1000 if cpu_ns is not None else None, requests),
            io_calls_per_request=_per(now.io_calls - then.io_calls, requests),
            switches_per_request=_per(switches, requests),
            switches_per_s=switches / seconds if switches is not None else None,
            queue_wait_us=_per(now.queue_wait_us - then.queue_wait_us, pops),
            queue_wait_p99_us=_p99([b - a for a, b in zip(then.queue_wait, now.queue_wait, strict=True)]),
            bytes_in_per_s=(now.bytes_in - then.bytes_in) / seconds,
            bytes_out_per_s=(now.bytes_out - then.bytes_out) / seconds,
        )


def _grown(then: int | None, now: int | None) -> int | None:
    """None where one is not known, or there is less than there was: what has ended is accounted for in other units."""
    return now - then if now is not None and then is not None and now >= then else None


def _per(value: float | None, count: int) -> float | None:
    return value / count if value is not None and count > 0 else None


def _p99(waits: list[int]) -> float | None:
    """The upper end of the bucket in which it lies (bucket i: less than 2^i µs)."""
    total = sum(waits)
    if total < ENOUGH * 100:
        return None
    below = 0
    for bucket, count in enumerate(waits):
        below += count
        if below >= 0.99 * total:
            return float(1 << bucket)
    return None
