"""Computes summary, percentile curve and histogram log of a run from its outcome. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import KindOutcome, Outcome
from app.schemas.result import Fairness, KindSummary, Latency, Summary

QUANTILES = (
    *(0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.985),
    *(0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9999, 0.99995, 0.99999),
)  # of the points of a percentile curve


def summarise(outcome: Outcome) -> Summary:
    """Return the summary of the measured window, with that of each load group.

    The achieved rate counts requests that finished in the window, the offered rate those due in it.
    """
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
        by_kind=tuple(map(_kind_summary, outcome.kinds)),
        reconnects=outcome.reconnects,
        send_jitter_p99_us=outcome.send_jitter_p99_us,
        intended=outcome.intended,
        sent=outcome.sent,
        failed=outcome.failed,
        unfinished=outcome.unfinished,
        fairness=_fairness(outcome),
        groups={name: summarise(each) for name, each in outcome.groups.items()},
    )


def _fairness(outcome: Outcome) -> Fairness | None:
    served = outcome.per_connection
    if served is None:
        return None
    mean = served.total / served.connections
    return Fairness(served.connections, served.minimum, served.maximum, mean, served.jain)


def _kind_summary(kind: KindOutcome) -> KindSummary:
    return KindSummary(
        kind.label,
        kind.requests,
        sum(kind.errors.values()),
        histogram.percentiles(histogram.decode(kind.service)),
        histogram.percentiles(histogram.decode(kind.response)),
        histogram.percentiles(histogram.decode(kind.corrected)) if kind.corrected else None,
    )


def _latency(outcome: Outcome, clock: str) -> histogram.Percentiles:
    return histogram.percentiles(merged_histogram(outcome, clock))


def merged_histogram(outcome: Outcome, clock: str) -> Any:
    """Return one HdrHistogram (µs) of all work kinds. Counts are added; percentiles are never averaged.

    `clock`: service, response or corrected.
    """
    return histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)


def curve(outcome: Outcome) -> dict[str, Any]:
    """Return the percentile curve of an outcome, see `percentile_curve`."""
    return percentile_curve(merged_histogram(outcome, "service"), merged_histogram(outcome, "response"))


def percentile_curve(service: Any, response: Any) -> dict[str, Any]:
    """Return response and service time in µs by quantile. The histograms may be sums over several runs.

    `cut` is the last quantile with 10 samples above it, where both curves end.
    """
    count = service.total_count
    cut = 1 - histogram.SAMPLES_ABOVE_MIN / count if count else 0.0
    return {"service": _points(service, cut), "response": _points(response, cut), "cut": cut, "count": count}


def interval_log(outcome: Outcome) -> str:
    """Return the HdrHistogram interval log 1.2 of response time in µs, one line per measured second."""
    start = datetime.fromisoformat(outcome.started_at.replace("Z", "+00:00")).timestamp()
    lines = [
        "#[Thread Model Lab: response time in microseconds]",
        "#[an interval has the requests that finished in it; later ones are in the summary only]",
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


def responses_received(outcome: Outcome) -> int:
    """Return the number of all responses received: by all loads, in all phases, on all connections."""
    return sum(
        sum(second.requests for second in each.seconds) + each.background_requests for each in outcome.loads
    )


def little_residual(outcome: Outcome) -> float | None:
    """Return the relative error of Little's law, N = X·R; None if unknown.

    N: mean requests in flight. X: throughput. R: mean service time. 0.05 means 5 % more in flight than X·R.
    """
    counts = Counter(phase.phase for phase in outcome.seconds)
    if not outcome.wall_s or not counts["measure"]:
        return None
    # X and R count requests that finished in the window. Those that finished while draining are not in N
    # either.
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
