"""The steps and the result of a capacity search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchStep:
    """One trial of a capacity search: offered rate, measured value, and whether the objective was met."""

    rate_per_s: float
    trial: int  # number of this trial at this rate, from 1
    seen: str  # measured value of the objective's statistic: "18.2 ms"
    rate_ratio: float | None  # achieved / offered
    kept: bool  # whether the objective was met
    because: str  # the outcome in one sentence
    value_us: float | None = None  # `seen` as a number; None: unknown, or stored by an earlier version


@dataclass(frozen=True, slots=True)
class Capacity:
    """The result of a capacity search so far: the capacity lies between `kept_per_s` and `failed_per_s`."""

    objective: str
    kept_per_s: float | None  # highest rate that met the objective; None: no rate did
    failed_per_s: float | None  # lowest rate that missed it; None: no rate did
    limited_by: str | None  # one sentence, if something other than the server ended the search
    steps: tuple[SearchStep, ...]
