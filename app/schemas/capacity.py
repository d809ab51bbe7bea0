"""The course and the result of a capacity search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One trial of a search for capacity: an offered rate, what came of it, and whether it kept the objective."""

    rate_per_s: float
    trial: int  # of this rate, from 1
    seen: str  # of the objective: "18.2 ms"
    rate_ratio: float | None
    kept: bool
    because: str  # one sentence


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search for capacity has found so far: it lies from `kept_per_s` up to `failed_per_s`."""

    objective: str
    kept_per_s: float | None  # None: not even the lowest rate that was tried
    failed_per_s: float | None  # None: the search ended before anything failed
    limited_by: str | None  # one sentence, where the search could not go on to the server's own limit
    steps: tuple[Step, ...]
