"""The level of a load over time: straight lines from stage to stage, and when the nth arrival of a rate is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from app.load.protocol.plan import Stage


@dataclass(frozen=True, slots=True)
class Ramp:
    """From `start` through the stages; without any it is level for ever. Connections, or requests a second."""

    start: float
    stages: tuple[Stage, ...] = ()

    def at(self, t_s: float) -> float:
        """The level `t_s` seconds after the start; after the last stage it stays."""
        level = self.start
        for stage in self.stages:
            if t_s < stage.duration_s:
                return level + (stage.target - level) * max(0.0, t_s) / stage.duration_s
            t_s -= stage.duration_s
            level = stage.target
        return level

    def arrivals(self, numbers: Iterator[float]) -> Iterator[float]:
        """Seconds at which the rate has brought so many arrivals; `numbers` must grow. Ends with the last stage.

        On a line from r to q in d seconds n(t) = r·t + (q - r)·t²/2d, solved for t in the form that is stable at q = r.
        """
        pieces = self.stages or (Stage(float("inf"), self.start),)
        rate, began_s, before = self.start, 0.0, 0.0
        number = next(numbers, None)
        for piece in pieces:
            length_s, growth = piece.duration_s, (piece.target - rate) / (piece.duration_s or 1.0)
            brought = (rate + piece.target) / 2 * length_s
            while number is not None and number - before < brought:
                n = number - before
                root = sqrt(
                    max(0.0, rate * rate + 2 * growth * n)
                )  # at the foot of a ramp to 0 rounding goes below
                yield began_s + (2 * n / (rate + root) if n else 0.0)
                number = next(numbers, None)
            rate, began_s, before = piece.target, began_s + length_s, before + brought
