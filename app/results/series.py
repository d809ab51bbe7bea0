"""Computes the series of a run, one row per second, from its outcome and the samples of the engine. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome, Second
from app.results.observation import SeriesPoint

SERIES_COLUMNS = (
    "t_s",
    "phase",
    "offered_per_s",
    "achieved_per_s",
    "errors",
    "service_p50_us",
    "service_p99_us",
    "response_p50_us",
    "response_p99_us",
    "connections",
    "threads",
    "cpu_percent",
    "rss_bytes",
    "queue_depth",
    "service_max_us",
    "response_max_us",
)
GROUP_COLUMNS = ("achieved_per_s", "errors", "response_p50_us", "response_p99_us")
RATE_INTERVAL_MIN_S = 0.5  # a shorter last interval of a phase has no meaningful rate


def series(outcome: Outcome, points: Sequence[SeriesPoint], started_ns: int) -> dict[str, Any]:
    """Return one row per second: the load generator's counts and the engine's last sample in that second.

    Each load group has further columns, such as `new:achieved_per_s`. `started_ns`: CLOCK_MONOTONIC where
    `t_s`, the start of a row, is 0, as in traces.
    """
    seconds = [second for second in outcome.seconds if second.phase != "drain"]
    rows = [_row(second, points, started_ns) for second in seconds]
    for group in outcome.groups.values():
        for row, second in zip(rows, _aligned(seconds, group.seconds), strict=True):
            row.extend(_group_cells(second))
    columns = (*SERIES_COLUMNS, *(f"{name}:{each}" for name in outcome.groups for each in GROUP_COLUMNS))
    return {"columns": columns, "rows": rows, "started_ns": started_ns}


def _aligned(seconds: Sequence[Second], others: Sequence[Second]) -> list[Second | None]:
    """Return the second of another load for each of `seconds`: the nth of a phase is at the same time.

    None where the other load has none.
    """
    found = {key: second for key, second in zip(_phase_numbers(others), others, strict=True)}
    return [found.get(key) for key in _phase_numbers(seconds)]


def _phase_numbers(seconds: Sequence[Second]) -> Iterator[tuple[str, int]]:
    """Yield phase and number within the phase of each second."""
    counts: Counter[str] = Counter()
    for second in seconds:
        yield second.phase, counts[second.phase]
        counts[second.phase] += 1


def _group_cells(second: Second | None) -> tuple[float | None, ...]:
    """Return the values of GROUP_COLUMNS."""
    if second is None:
        return (None,) * len(GROUP_COLUMNS)
    response = histogram.percentiles(histogram.decode(second.response))
    rate = second.requests / second.length_s if second.length_s >= RATE_INTERVAL_MIN_S else None
    return rate, second.errors, response.p50_us, response.p99_us


def _last_point(points: Sequence[SeriesPoint], started_ns: int, second: Second) -> SeriesPoint | None:
    """Return the last sample of the engine in this second; None if there is none."""
    low, high = second.t, second.t + second.length_s
    inside = [p for p in points if low <= (p.at_ns - started_ns) / 1e9 < high]
    return inside[-1] if inside else None


def _cpu_percent(points: Sequence[SeriesPoint], started_ns: int, second: Second) -> float | None:
    """Return the engine's CPU use of this second: of the sample interval that overlaps it by more than half.

    None if there is no such sample.
    """
    low = started_ns + second.t * 1e9
    high = low + second.length_s * 1e9
    for p in points:
        overlap = min(p.at_ns, high) - max(p.since_ns, low)
        if overlap > max(high - low, p.at_ns - p.since_ns) / 2:
            return p.cpu_percent
    return None


def _row(second: Second, points: Sequence[SeriesPoint], started_ns: int) -> list[Any]:
    service = histogram.percentiles(histogram.decode(second.service))
    response = histogram.percentiles(histogram.decode(second.response))
    has_rate = second.length_s >= RATE_INTERVAL_MIN_S
    offered = second.intended / second.length_s if second.intended is not None and has_rate else None
    point, cpu = _last_point(points, started_ns, second), _cpu_percent(points, started_ns, second)
    seen = (point.connections, point.threads, cpu, point.rss_bytes, point.queue_depth) if point else ()
    return [
        round(second.t, 3),
        second.phase,
        offered,
        second.requests / second.length_s if has_rate else None,
        second.errors,
        service.p50_us,
        service.p99_us,
        response.p50_us,
        response.p99_us,
        *(seen or (None, None, cpu, None, None)),
        service.max_us,
        response.max_us,
    ]
