"""Computes the chart of a capacity search: the objective's statistic of each trial by its offered rate. Pure.

Coordinates are those of app/report/chart.py. The page of a run and its report draw the same chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app import format
from app.plans.thresholds import Threshold
from app.report.chart import ACROSS, RIGHT, TOP, UPWARD, Axis, from_zero, logarithmic
from app.schemas.capacity import Capacity, SearchStep

LOGARITHMIC_FROM = 8.0  # the ratio of highest to lowest value from which an axis is logarithmic
LABEL_PX = 180  # room for the label of the capacity beside its line
LABEL_ABOVE_PX = 24  # a label above a line that is nearer to the top would be cut off
_STATISTICS = {"avg": "Mean", "mean": "Mean", "med": "p50", "min": "Minimum", "max": "Maximum"}


@dataclass(frozen=True, slots=True)
class SearchPoint:
    """A trial. `text`: what happened, in a sentence."""

    x: float
    y: float
    met: bool
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the chart. `at`: pixels from the left or the top.

    `flips`: its label is below or to the left, because there is no room above or to the right.
    """

    at: float
    text: str
    flips: bool


@dataclass(frozen=True, slots=True)
class SearchChart:
    """The chart of a capacity search. `capacity`: None if no rate has met the objective."""

    label: str  # the whole chart in a sentence
    points: tuple[SearchPoint, ...]
    x: Axis
    y: Axis
    objective: Rule
    capacity: Rule | None
    note: str  # trials that are not drawn, in a sentence; "" if there are none


def search_chart(capacity: Capacity | None) -> SearchChart | None:
    """Return the chart; None as long as no trial has a value."""
    steps = capacity.steps if capacity else ()
    numbered = [(number, step) for number, step in enumerate(steps, 1) if step.value_us is not None]
    if capacity is None or not numbered:
        return None
    drawn = [step for _, step in numbered]
    objective = Threshold.parse(capacity.objective)
    limit_us = float(objective.value)
    rates = [*(step.rate_per_s for step in drawn), capacity.kept_per_s or 0.0]
    x = _axis(rates, "Offered rate", "req/s", ACROSS)
    y = _axis([limit_us / 1e3, *(_ms(step) for step in drawn)], _statistic(objective), "ms", UPWARD)
    line = y.place(limit_us / 1e3)
    return SearchChart(
        label=_label(capacity, drawn),
        points=tuple(_point(step, number, objective, x, y) for number, step in numbered),
        x=x,
        y=y,
        objective=Rule(line, f"objective {capacity.objective}", line < TOP + LABEL_ABOVE_PX),
        capacity=_capacity_rule(capacity, x),
        note=_note(len(capacity.steps) - len(drawn)),
    )


def _axis(values: Sequence[float], title: str, unit: str, span: tuple[float, float]) -> Axis:
    """Return an axis from 0, or a logarithmic one if the values are far apart."""
    known = [value for value in values if value > 0]
    if known and max(known) / min(known) >= LOGARITHMIC_FROM:
        return logarithmic(values, _number, f"{title} ({unit}, log scale)", span)
    return from_zero(values, _number, f"{title} ({unit})", span)


def _number(value: float) -> str:
    return f"{value:,.6g}"


def _ms(step: SearchStep) -> float:
    assert step.value_us is not None
    return step.value_us / 1e3


def _statistic(objective: Threshold) -> str:
    """Return the title of the objective's statistic: "p99 response time"."""
    name = _STATISTICS.get(objective.statistic) or f"p{objective.statistic[2:-1]}"
    return f"{name} {objective.clock} time"


def _point(step: SearchStep, number: int, objective: Threshold, x: Axis, y: Axis) -> SearchPoint:
    measured = f"{format.request_rate(step.rate_per_s)}, {objective.what} {step.seen}"
    text = f"Trial {number}: {measured}. {step.because}"
    return SearchPoint(x.place(step.rate_per_s), y.place(_ms(step)), step.kept, text)


def _capacity_rule(capacity: Capacity, x: Axis) -> Rule | None:
    if capacity.kept_per_s is None:
        return None
    at = x.place(capacity.kept_per_s)
    return Rule(at, _capacity_text(capacity), at > RIGHT - LABEL_PX)


def _capacity_text(capacity: Capacity) -> str:
    if capacity.kept_per_s is None:
        return "no rate met the objective"
    least = "at least " if capacity.failed_per_s is None else ""
    return f"capacity {least}{format.request_rate(capacity.kept_per_s)}"


def _label(capacity: Capacity, drawn: Sequence[SearchStep]) -> str:
    met = sum(step.kept for step in drawn)
    trials = f"{len(drawn)} trial{'s' if len(drawn) != 1 else ''}"
    outcome = f"{met} met and {len(drawn) - met} missed {capacity.objective}"
    return f"Capacity search: {trials}, {outcome}; {_capacity_text(capacity)}"


def _note(missing: int) -> str:
    if not missing:
        return ""
    trials = "1 trial has" if missing == 1 else f"{missing} trials have"
    return f"{trials} no value for the chart: see the table."
