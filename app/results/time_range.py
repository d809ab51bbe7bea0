"""Computes the figures of a part of a run, from the seconds of its outcome and its series. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

from app.errors import Invalid
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome, Second
from app.schemas.result import Latency
from app.schemas.time_range import TimeRange


def time_range(
    outcome: Outcome, series: Mapping[str, Any], from_s: float | None, to_s: float | None
) -> TimeRange:
    """Return the figures of all seconds that overlap [from_s, to_s).

    Whole seconds, because the load generator counts per second. Histograms are added, percentiles never
    averaged. None: from the start of the warm-up, or to the end of the measured time. Raises Invalid if there
    is no such second.
    """
    seconds = [each for each in outcome.seconds if each.phase != "drain"]
    ends_s = _end(seconds[-1]) if seconds else 0.0
    low, high = from_s or 0.0, ends_s if to_s is None else to_s
    chosen = [each for each in seconds if each.t < high and _end(each) > low]
    if low >= ends_s:
        raise Invalid.field("/from_s", f"This run has data until {ends_s:g} s.")
    if not chosen or high <= low:
        raise Invalid.field("/to_s", "The end must be after the start.")
    return _figures(chosen, series)


def _end(second: Second) -> float:
    return round(second.t + second.length_s, 3)


def _figures(seconds: Sequence[Second], series: Mapping[str, Any]) -> TimeRange:
    length_s = sum(each.length_s for each in seconds)
    requests = sum(each.requests for each in seconds)
    intended = [each.intended for each in seconds if each.intended is not None]
    rows = [dict(zip(series["columns"], row, strict=False)) for row in series["rows"]]
    by_start = {row["t_s"]: row for row in rows}

    def column(name: str) -> list[Any] | None:
        """Return the engine's values of these seconds; None if one of them is missing."""
        values = [by_start.get(round(each.t, 3), {}).get(name) for each in seconds]
        return None if None in values else values

    cpu, lengths = column("cpu_percent"), [each.length_s for each in seconds]
    return TimeRange(
        from_s=round(seconds[0].t, 3),
        to_s=_end(seconds[-1]),
        length_s=round(length_s, 3),
        phases=tuple(dict.fromkeys(each.phase for each in seconds)),
        requests=requests,
        errors=sum(each.errors for each in seconds),
        achieved_per_s=requests / length_s,
        offered_per_s=sum(intended) / length_s if len(intended) == len(seconds) else None,
        latency=Latency(_latency(seconds, "service"), _latency(seconds, "response")),
        cpu_percent=sum(map(mul, cpu, lengths)) / length_s if cpu else None,
        rss_bytes_max=max(column("rss_bytes") or (), default=None),
        threads_max=max(column("threads") or (), default=None),
        connections_max=max(column("connections") or (), default=None),
    )


def _latency(seconds: Sequence[Second], clock: str) -> histogram.Percentiles:
    return histogram.percentiles(histogram.merge(histogram.decode(getattr(each, clock)) for each in seconds))
