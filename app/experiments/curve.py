"""A curve of a claim as data: a figure over a varied quantity, and what the claim says of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from app.experiments.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the x axis, and the cell and the entry that are measured there."""

    x: float
    cell: str
    entry: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What the claim says of a curve: a line through `points`, or one place `x`. `text`: in a few words.

    `note`: what the curve shows of it, in a sentence.
    """

    text: str
    points: tuple[tuple[float, float], ...] = ()
    x: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure over a varied quantity. `x_title`: that quantity with its unit. `log`: y is logarithmic.

    lines: the points of each line, by its name. claimed: the mark, which may depend on what was measured.
    """

    figure: str
    x_title: str
    lines: tuple[tuple[str, tuple[Point, ...]], ...]
    claimed: Callable[[Evidence], Mark | None]
    log: bool = False

    def values(self, evidence: Evidence, point: Point) -> list[float]:
        """Return the valid values at a point, one for each round."""
        return evidence.values(point.cell, point.entry, self.figure)

    def medians(self, evidence: Evidence, points: tuple[Point, ...]) -> list[tuple[float, float]]:
        """Return the medians of the points that were measured, with their places on the x axis."""
        found = ((point.x, self.values(evidence, point)) for point in points)
        return [(x, median(values)) for x, values in found if values]
