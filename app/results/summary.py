"""From the generator's outcome to what a run shows: summary, series, percentile curve. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome, Second
from app.results.observation import SeriesPoint
from app.schemas.result import KindSummary, Latency, Summary

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
QUANTILES = (
    0.0,
    0.1,
    0.25,
    0.5,
    0.6,
    0.7,
    0.75,
    0.8,
    0.85,
    0.9,
    0.925,
    0.95,
    0.97,
    0.98,
    0.985,
    0.99,
    0.993,
    0.995,
    0.997,
    0.998,
    0.999,
    0.9995,
    0.9999,
    0.99995,
    0.99999,
)
WHOLE_SECOND = 0.5  # a shorter last piece of a phase says little of a rate


def summarise(outcome: Outcome) -> Summary:
    """The measured window in numbers."""
    in_window = sum(second.requests for second in outcome.seconds if second.phase == "measure")
    length_s = outcome.duration_s
    offered = outcome.intended / length_s if outcome.intended is not None and length_s else None
    achieved = in_window / length_s if length_s else 0.0
    return Summary(
        requests=outcome.requests,
        errors={kind: count for kind, count in outcome.errors.items() if count},
        duration_s=length_s,
        offered_per_s=offered,
        achieved_per_s=achieved,
        rate_ratio=min(1.0, achieved / offered) if offered else None,
        bytes_in=outcome.bytes_in,
        bytes_out=outcome.bytes_out,
        dropped=outcome.dropped,
        late=outcome.late,
        connections_peak=outcome.connections_peak,
        idle_connections_held=outcome.idle_connections_held,
        latency=Latency(
            _latency(outcome, "service"),
            _latency(outcome, "response"),
            _latency(outcome, "corrected") if all(each.corrected for each in outcome.kinds) else None,
        ),
        by_kind=tuple(
            KindSummary(
                each.label,
                each.requests,
                sum(each.errors.values()),
                histogram.percentiles(histogram.decode(each.service)),
                histogram.percentiles(histogram.decode(each.response)),
                histogram.percentiles(histogram.decode(each.corrected)) if each.corrected else None,
            )
            for each in outcome.kinds
        ),
        reconnects=outcome.reconnects,
        send_jitter_p99_us=outcome.send_jitter_p99_us,
        intended=outcome.intended,
        sent=outcome.sent,
        failed=outcome.failed,
        unfinished=outcome.unfinished,
    )


def _latency(outcome: Outcome, clock: str) -> histogram.Percentiles:
    return histogram.percentiles(total(outcome, clock))


def total(outcome: Outcome, clock: str) -> Any:
    """One histogram of all kinds: added, never averaged."""
    return histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)


def series(outcome: Outcome, points: Sequence[SeriesPoint], started_ns: int) -> dict[str, Any]:
    """One row a second: the generator's side, with the nearest look at the engine. `started_ns`: when `t_s` was 0, on
    CLOCK_MONOTONIC, as traces have it."""
    rows = [_row(second, points, started_ns) for second in outcome.seconds if second.phase != "drain"]
    return {"columns": SERIES_COLUMNS, "rows": rows, "started_ns": started_ns}


def curve(outcome: Outcome) -> dict[str, Any]:
    """Latency by percentile on both clocks, as far as the data reaches (10 samples above)."""
    return curve_of(total(outcome, "service"), total(outcome, "response"))


def curve_of(service: Any, response: Any) -> dict[str, Any]:
    """The same of two histograms, which may be those of several runs added."""
    count = service.total_count
    cut = 1 - histogram.SAMPLES_ABOVE_MIN / count if count else 0.0
    return {"service": _points(service, cut), "response": _points(response, cut), "cut": cut, "count": count}


def interval_log(outcome: Outcome) -> str:
    """HdrHistogram interval log 1.2 of response time in µs, a line a second of the measured window."""
    start = datetime.fromisoformat(outcome.started_at.replace("Z", "+00:00")).timestamp()
    lines = [
        "#[Thread Model Lab: response time in microseconds]",
        "#[each interval has what finished in it; answers that came after the end of the plan are only in the summary]",
        "#[Histogram log format version 1.2]",
        f"#[StartTime: {start:.3f} (seconds since epoch), {outcome.started_at}]",
        f"#[BaseTime: {start:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    measured = [second for second in outcome.seconds if second.phase == "measure"]
    for second in measured:
        most = histogram.decode(second.response).get_max_value() if second.requests else 0
        lines.append(f"{second.t - measured[0].t:.3f},{second.length_s:.3f},{most:.3f},{second.response}")
    return "\n".join(lines) + "\n"


def answers(outcome: Outcome) -> int:
    """All answers that the generator has counted, from its first connection to its last: in no window."""
    return sum(second.requests for second in outcome.seconds) + outcome.background_requests


def little_residual(outcome: Outcome) -> float | None:
    """N = X·R: how far the requests in flight are from rate times service time, as a share."""
    counts = Counter(phase.phase for phase in outcome.seconds)
    if not outcome.wall_s or not counts["measure"]:
        return None
    # Of what finished in the window, not of what was meant for it: answers that came while draining are in neither N.
    measured = [histogram.decode(second.service) for second in outcome.seconds if second.phase == "measure"]
    service = histogram.percentiles(histogram.merge(measured))
    in_flight = outcome.in_flight_ns / 1e9 / outcome.wall_s
    if service.mean_us is None or not in_flight:
        return None
    finished = sum(second.requests for second in outcome.seconds if second.phase == "measure")
    expected = finished / outcome.duration_s * service.mean_us / 1e6
    return in_flight / expected - 1 if expected else None


def _points(hist: Any, cut: float) -> list[tuple[float, float]]:
    if not hist.total_count:
        return []
    quantiles = [q for q in QUANTILES if q < cut] + [cut] * (cut > 0)
    return [(q, float(hist.get_value_at_percentile(100 * q))) for q in quantiles]


def _nearest(points: Sequence[SeriesPoint], started_ns: int, second: Second) -> SeriesPoint | None:
    """The look that fell into this second, if one did."""
    low, high = second.t, second.t + second.length_s
    inside = [p for p in points if low <= (p.at_ns - started_ns) / 1e9 < high]
    return inside[-1] if inside else None


def _cpu_percent(points: Sequence[SeriesPoint], started_ns: int, second: Second) -> float | None:
    """What the engine used between the two looks at the edges of this second, if there were some near enough."""
    low = started_ns + second.t * 1e9
    high = low + second.length_s * 1e9
    for p in points:
        common = min(p.at_ns, high) - max(p.since_ns, low)
        if common > max(high - low, p.at_ns - p.since_ns) / 2:
            return p.cpu_percent
    return None


def _row(second: Second, points: Sequence[SeriesPoint], started_ns: int) -> list[Any]:
    service = histogram.percentiles(histogram.decode(second.service))
    response = histogram.percentiles(histogram.decode(second.response))
    whole = second.length_s >= WHOLE_SECOND
    offered = second.intended / second.length_s if second.intended is not None and whole else None
    point, cpu = _nearest(points, started_ns, second), _cpu_percent(points, started_ns, second)
    seen = (point.connections, point.threads, cpu, point.rss_bytes, point.queue_depth) if point else ()
    return [
        round(second.t, 3),
        second.phase,
        offered,
        second.requests / second.length_s if whole else None,
        second.errors,
        service.p50_us,
        service.p99_us,
        response.p50_us,
        response.p99_us,
        *(seen or (None, None, cpu, None, None)),
        service.max_us,
        response.max_us,
    ]
