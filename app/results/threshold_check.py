"""Checks whether a result meets a threshold. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from app import format
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.plans.thresholds import Threshold
from app.results.summary import merged_histogram
from app.schemas.result import Ledger, Summary, ThresholdResult, Verdict

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_FIELDS = {"avg": "mean_us", "mean": "mean_us", "max": "max_us"}
_SUMMARY_PERCENTILES = {0.5: "p50_us", 0.9: "p90_us", 0.99: "p99_us", 0.999: "p999_us"}
PLACES_MAX = 9


def check(
    threshold: Threshold,
    summary: Summary | None,
    ledger: Ledger | None,
    verdict: Verdict | None,
    outcome: Outcome | None = None,
) -> ThresholdResult:
    """Return whether the result meets the threshold. An unknown value breaches it.

    `outcome`: for minima and percentiles that a summary does not have; without it, they are unknown.
    """
    value = measured_value(threshold, summary, ledger, verdict, outcome)
    breached = value is None or not _OPERATORS[threshold.op](value, threshold.value)
    return ThresholdResult(threshold.text, _text(threshold, value), breached)


def measured_value(
    threshold: Threshold,
    summary: Summary | None,
    ledger: Ledger | None,
    verdict: Verdict | None,
    outcome: Outcome | None,
) -> float | str | None:
    """Return the value that is compared, in the unit of `Threshold.value`; None: unknown."""
    if threshold.what == "verdict":
        return verdict.name if verdict else None
    if threshold.what == "cpu_us_per_request":
        return ledger.cpu_us if ledger else None
    if summary is None:
        return None
    if threshold.what == "errors":
        failed = sum(summary.errors.values())  # requests that were never sent count in rate_ratio
        return failed / (failed + summary.requests) if failed + summary.requests else None
    if threshold.what in ("rate", "rate_ratio"):
        return summary.achieved_per_s if threshold.what == "rate" else summary.rate_ratio
    return _latency(threshold, summary, outcome)


def _latency(threshold: Threshold, summary: Summary, outcome: Outcome | None) -> float | None:
    """Return the statistic in microseconds."""
    quantile = threshold.quantile
    if field := _FIELDS.get(threshold.statistic) or _SUMMARY_PERCENTILES.get(quantile or 0.0):
        value: float | None = getattr(getattr(summary.latency, threshold.clock), field)
        return value
    times = merged_histogram(outcome, threshold.clock) if outcome else None
    if times is None or not times.total_count:
        return None
    return histogram.minimum(times) if quantile is None else histogram.percentile(times, quantile)


def _text(threshold: Threshold, value: float | str | None) -> str:
    """Return the value with its unit, and enough decimals to show on which side of the bound it is."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    compare = _OPERATORS[threshold.op]
    scale, unit, usual = _unit(threshold, value)
    for places in range(usual, PLACES_MAX):
        text = f"{value / scale:.{places}f}"
        if compare(float(text) * scale, threshold.value) == compare(value, threshold.value):
            break
    return f"{float(text):,.{places}f}{unit}"


def _unit(threshold: Threshold, value: float) -> tuple[float, str, int]:
    """Return the divisor, the unit's symbol and the usual number of decimals for a value."""
    if threshold.is_latency:
        unit = format.time_unit(value)
        return unit.us, f" {unit.symbol}", unit.places
    if threshold.what == "errors":
        return 0.01, " %", 2
    if threshold.what == "rate":
        return 1.0, " req/s", 0 if value >= 100 else 1
    if threshold.what == "cpu_us_per_request":
        return 1.0, " µs", 1
    return 1.0, "", 3
