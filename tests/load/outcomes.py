"""Outcomes that were not measured, for tests of what is done with them."""

from __future__ import annotations

from collections import Counter

from app.load.protocol import histogram
from app.load.protocol.outcome import KindOutcome, Outcome, Second


def encoded(samples_us: list[int]) -> str:
    """Return the encoded histogram of some latencies."""
    return histogram.encode(histogram.from_counts(Counter(samples_us).items()))


def closed_outcome(first: list[int], second: list[int]) -> Outcome:
    """Return the outcome of a closed model whose two seconds had these latencies in µs."""
    everything = encoded(first + second)
    rows = [
        Second(float(number), 1.0, "measure", None, len(each), len(each), 0, 4, encoded(each), encoded(each))
        for number, each in enumerate((first, second))
    ]
    return Outcome(
        started_at="2026-01-01T00:00:00.000Z",
        measured_from_ns=10**9,
        measured_to_ns=3 * 10**9,
        duration_s=2.0,
        stopped=False,
        requests=len(first + second),
        errors={"timeout": 1, "reset": 2},
        intended=None,
        sent=len(first + second),
        dropped=0,
        late=0,
        waited=0,
        reconnects=0,
        bytes_in=0,
        bytes_out=0,
        connections_peak=4,
        idle_connections_held=0,
        cpu_user_s=0.6,
        cpu_system_s=0.4,
        wall_s=2.0,
        send_jitter_p99_us=None,
        in_flight_ns=0,
        seconds=tuple(rows),
        missing=1,
        idle_missing=2,
        background_closed=3,
        kinds=(KindOutcome("plaintext", "plaintext", len(first + second), {}, everything, everything),),
    )
