"""Estimates the noise of a figure, to decide whether its change between two runs is significant. Pure.

A figure varies without a change of the setup, for three reasons:

- *Machine.* Conditions drift from run to run: other processes, clock rates, memory placement. The spread
  within a run does not show this. Equal servers measured one after the other differed by up to 15 %
  (docs/measured.md), so a change below `MACHINE` never counts. Comparisons, whose trials are interleaved,
  resolve smaller changes. A rate that was *offered* follows a schedule; its drift is only `OFFERED`.
- *Seconds.* The seconds of a run vary. For a figure in the series, their spread (median absolute deviation,
  which a single outlier does not widen) gives the standard error of their median. Consecutive seconds are
  correlated and count as fewer samples (lag-1 autocorrelation).
- *Samples.* A percentile rests on the k samples above it, a count on k events: both vary by 1/√k of their
  value (for a percentile of a heavy tail, Hill's estimate at α = 1; most tails vary less).

The noise is the largest of these, at `SIGMAS` standard errors. A smaller change is "within noise": the two
runs cannot show whether there is one. A maximum is a single event and is never judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MACHINE = 0.15  # share of a value by which equal servers differ from run to run
OFFERED = 0.01  # share of an offered rate: more is missing only if the verdict is rate_missed
SIGMAS = 3.0  # 0.3 % false positives; a diff has about 40 figures
SECONDS_MIN = 5  # fewer seconds have no meaningful spread
MAD_TO_SIGMA = 1.4826  # standard deviation of a normal distribution in median absolute deviations
CORRELATION_MAX = 0.9
MEDIAN_TO_MEAN_ERROR = 1.2533  # √(π/2): the standard error of a median relative to that of a mean


@dataclass(frozen=True, slots=True)
class Noise:
    """The variation of a figure without a change: its width in the figure's unit, and its largest cause."""

    width: float
    basis: str  # machine offered seconds samples


def noise(
    a: float,
    b: float,
    *,
    drift: float = MACHINE,
    seconds: tuple[Sequence[float], Sequence[float]] = ((), ()),
    samples: tuple[float, float] | None = None,
) -> Noise:
    """Return the noise of a figure whose value is `a` in one run and `b` in the other.

    `seconds`: its values per second in each run, if it is in the series. `samples`: the number of samples or
    events on which it rests in each run.
    """
    found = [Noise(drift * max(abs(a), abs(b)), "offered" if drift == OFFERED else "machine")]
    error_a, error_b = map(standard_error, seconds)
    if error_a is not None and error_b is not None:
        found.append(Noise(SIGMAS * math.hypot(error_a, error_b), "seconds"))
    if samples is not None:
        errors = (
            abs(value) / math.sqrt(k) if k > 0 else 0.0 for value, k in zip((a, b), samples, strict=True)
        )
        found.append(Noise(SIGMAS * math.hypot(*errors), "samples"))
    return max(found, key=lambda each: each.width)


def count_noise(a: float, b: float) -> Noise:
    """Return the noise of two counts of events."""
    return noise(a, b, samples=(a, b))


def standard_error(seconds: Sequence[float]) -> float | None:
    """Return the standard error of the median of a run's seconds, in their unit; None for too few seconds."""
    if len(seconds) < SECONDS_MIN:
        return None
    middle = median(seconds)
    sigma = MAD_TO_SIGMA * median(abs(value - middle) for value in seconds)
    return MEDIAN_TO_MEAN_ERROR * sigma / math.sqrt(_effective_samples(seconds))


def _effective_samples(values: Sequence[float]) -> float:
    """Return the number of independent samples with the same information: n · (1 - ρ) / (1 + ρ).

    ρ is their lag-1 autocorrelation; the formula is that of a first-order autoregressive process.
    """
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values)
    if not variance:
        return len(values)
    correlation = sum((x - mean) * (y - mean) for x, y in pairwise(values)) / variance
    correlation = min(CORRELATION_MAX, max(0.0, correlation))
    return max(1.0, len(values) * (1 - correlation) / (1 + correlation))
