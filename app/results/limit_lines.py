"""The latency limits of a run as lines of its charts: its thresholds, and the objective of a search. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.plans.thresholds import Threshold
from app.schemas.run import RunView


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A horizontal line of a latency chart. `quantile`: from 0 to 1; None: of a mean, minimum or maximum."""

    us: float
    text: str
    statistic: str  # "p(99)", "max" … without the prefix of the clock
    quantile: float | None


def limit_lines(run: RunView) -> tuple[LimitLine, ...]:
    """Return the lines of a run; an objective that is also a threshold is one line."""
    found = {line.text.removeprefix("objective "): line for line in _lines(run)}
    return tuple(found.values())


def _lines(run: RunView) -> Iterator[LimitLine]:
    for each in run.thresholds:
        yield from _line(each.text)
    if run.capacity:
        yield from _line(run.capacity.objective, "objective ")


def _line(text: str, prefix: str = "") -> Iterator[LimitLine]:
    limit = Threshold.parse(text)
    if limit.is_latency:
        yield LimitLine(float(limit.value), prefix + limit.text, limit.statistic, limit.quantile)
