"""Whether the change of a figure between two runs is larger than the noise.

Things move a figure although nothing was changed:

- *Machine.* From run to run it drifts: other work, clock rates, where memory lies. No spread within a run shows that.
  Equal servers measured one after the other came out up to 15 % apart (docs/measured.md), so whatever one run of each
  says is not taken for a change below `MACHINE`; trials in turns, which a comparison makes, resolve less. A rate that
  was *offered* is held by a clock, so its drift is only `OFFERED`.
- *Seconds.* Within a run they differ. Of a figure with a row a second, the spread of the measured seconds (median
  absolute deviation, so that one hiccup does not hide everything else) gives the standard error of their middle.
  Seconds that follow each other are alike, and count for fewer than they are (lag-1 autocorrelation).
- *Samples.* A percentile rests on the k answers above it, and a count on k events: they scatter by 1/√k of their value
  (for a percentile that is a heavy tail's, Hill's estimate at α = 1; most tails are kinder).

The noise is the largest of these, at `SIGMAS` standard errors. A change is larger than it, or "within the noise": these
two runs cannot tell. That does not say that there is none. A maximum is one event, and is not judged at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MACHINE = 0.15  # of a value: what equal servers differed by from one run to the next
OFFERED = 0.01  # of a rate that the generator's clock holds: below 0.99 of it the verdict is "rate missed"
SIGMAS = 3.0  # three in a thousand by chance; there are some forty figures in a table
SECONDS_MIN = 5  # of fewer seconds nobody knows the spread
NORMAL = 1.4826  # a normal distribution's standard deviation in median absolute deviations
ALIKE_MAX = 0.9
OF_MEDIAN = 1.2533  # a median scatters this much more than a mean: √(π/2)


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a figure moves by itself, in its own unit, and which of the things above makes it so."""

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
    """The noise of a figure that is `a` in one run and `b` in the other.

    `seconds` are its rows in each run, where it has any; `samples` on how many answers or events it rests in each.
    """
    found = [Noise(drift * max(abs(a), abs(b)), "offered" if drift == OFFERED else "machine")]
    one, other = map(standard_error, seconds)
    if one is not None and other is not None:
        found.append(Noise(SIGMAS * math.hypot(one, other), "seconds"))
    if samples is not None:
        one, other = (
            abs(value) / math.sqrt(k) if k > 0 else 0.0 for value, k in zip((a, b), samples, strict=True)
        )
        found.append(Noise(SIGMAS * math.hypot(one, other), "samples"))
    return max(found, key=lambda each: each.width)


def count_noise(a: float, b: float) -> Noise:
    """The noise of two counts."""
    return noise(a, b, samples=(a, b))


def standard_error(seconds: Sequence[float]) -> float | None:
    """Of the middle of a run's seconds, in their unit; None of too few."""
    if len(seconds) < SECONDS_MIN:
        return None
    middle = median(seconds)
    spread = NORMAL * median(abs(value - middle) for value in seconds)
    return OF_MEDIAN * spread / math.sqrt(_independent(seconds))


def _independent(values: Sequence[float]) -> float:
    """As how many independent values these count."""
    mean = sum(values) / len(values)
    power = sum((value - mean) ** 2 for value in values)
    if not power:
        return len(values)
    alike = sum((x - mean) * (y - mean) for x, y in pairwise(values)) / power
    alike = min(ALIKE_MAX, max(0.0, alike))
    return max(1.0, len(values) * (1 - alike) / (1 + alike))
