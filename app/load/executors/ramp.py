"""The level of a load over time: straight lines from stage to stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from app.load.protocol.plan import Stage


@dataclass(frozen=True, slots=True)
class Ramp:
    """A load that goes from `start` through `stages`; constant if there are none.

    The level is a number of connections, or requests per second.
    """

    start: float
    stages: tuple[Stage, ...] = ()

    def at(self, t_s: float) -> float:
        """Return the level `t_s` seconds after the start. After the last stage it stays the same."""
        level = self.start
        for stage in self.stages:
            if t_s < stage.duration_s:
                return level + (stage.target - level) * max(0.0, t_s) / stage.duration_s
            t_s -= stage.duration_s
            level = stage.target
        return level

    def arrivals(self, numbers: Iterator[float]) -> Iterator[float]:
        """Yield, for each n of `numbers`, the time in seconds at which n requests were due.

        `numbers` must increase. Ends with the last stage.

        On a line from rate r to rate q in d seconds the number of arrivals is the integral n(t) = r·t + (q -
        r)·t²/2d. Solved for t: t = 2n / (r + √(r² + 2·n·(q - r)/d)), the form of the quadratic formula that
        has no cancellation and is defined for q = r.
        """
        pieces = self.stages or (Stage(float("inf"), self.start),)
        rate, began_s, before = self.start, 0.0, 0.0
        number = next(numbers, None)
        for piece in pieces:
            length_s, growth = piece.duration_s, (piece.target - rate) / (piece.duration_s or 1.0)
            count = (rate + piece.target) / 2 * length_s
            while number is not None and number - before < count:
                n = number - before
                # At the end of a ramp to 0 rounding may make the radicand negative.
                root = sqrt(max(0.0, rate * rate + 2 * growth * n))
                yield began_s + (2 * n / (rate + root) if n else 0.0)
                number = next(numbers, None)
            rate, began_s, before = piece.target, began_s + length_s, before + count
