"""Whether a result meets a threshold."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.plans.thresholds import Threshold
from app.results.summary import total
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
_SUMMARISED = {0.5: "p50_us", 0.9: "p90_us", 0.99: "p99_us", 0.999: "p999_us"}  # percentiles of a summary
PLACES_MAX = 9


def check(
    threshold: Threshold,
    summary: Summary | None,
    ledger: Ledger | None,
    verdict: Verdict | None,
    outcome: Outcome | None = None,
) -> ThresholdResult:
    """Return whether the result meets the threshold. A value that is not known breaches it.

    `outcome` is needed for percentiles that a summary does not have.
    """
    seen = _seen(threshold, summary, ledger, verdict, outcome)
    breached = seen is None or not _OPERATORS[threshold.op](seen, threshold.value)
    return ThresholdResult(threshold.text, _text(threshold, seen), breached)


def _seen(
    threshold: Threshold,
    summary: Summary | None,
    ledger: Ledger | None,
    verdict: Verdict | None,
    outcome: Outcome | None,
) -> float | str | None:
    if threshold.what == "verdict":
        return verdict.name if verdict else None
    if threshold.what == "cpu_us_per_request":
        return ledger.cpu_us if ledger else None
    if summary is None:
        return None
    if threshold.what == "errors":
        failed = sum(summary.errors.values())  # those never sent are the business of rate_ratio
        return failed / (failed + summary.requests) if failed + summary.requests else None
    if threshold.what in ("rate", "rate_ratio"):
        return summary.achieved_per_s if threshold.what == "rate" else summary.rate_ratio
    return _latency(threshold, summary, outcome)


def _latency(threshold: Threshold, summary: Summary, outcome: Outcome | None) -> float | None:
    """In microseconds."""
    quantile = threshold.quantile
    if field := _FIELDS.get(threshold.statistic) or _SUMMARISED.get(quantile or 0.0):
        seen: float | None = getattr(getattr(summary.latency, threshold.clock), field)
        return seen
    times = total(outcome, threshold.clock) if outcome else None
    if times is None or not times.total_count:
        return None
    return histogram.minimum(times) if quantile is None else histogram.percentile(times, quantile)


def _text(threshold: Threshold, seen: float | str | None) -> str:
    """The value with as many decimals as it takes to show on which side of the bound it is."""
    if seen is None:
        return "not known"
    if isinstance(seen, str):
        return seen
    compare = _OPERATORS[threshold.op]
    scale, unit, usual = _unit(threshold, seen)
    for places in range(usual, PLACES_MAX):
        text = f"{seen / scale:.{places}f}"
        if compare(float(text) * scale, threshold.value) == compare(seen, threshold.value):
            break
    return f"{float(text):,.{places}f}{unit}"


def _unit(threshold: Threshold, seen: float) -> tuple[float, str, int]:
    """By what the value is divided, its unit, and the usual number of decimals."""
    if threshold.is_latency:
        return 1000.0, " ms", 1 if seen >= 10_000 else 2
    if threshold.what == "errors":
        return 0.01, " %", 2
    if threshold.what == "rate":
        return 1.0, " /s", 0 if seen >= 100 else 1
    return 1.0, "", 3
