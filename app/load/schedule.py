"""When each request of the open model is meant to be sent: nanoseconds, fixed before any answer is known."""

from __future__ import annotations

import random
from collections.abc import Iterator


def intended_times(rate_per_s: float, spacing: str, from_ns: int, to_ns: int, seed: int = 1) -> Iterator[int]:
    """The times in [from, to), in order."""
    if spacing == "poisson":
        return _poisson(rate_per_s, from_ns, to_ns, random.Random(seed))
    return _constant(rate_per_s, from_ns, to_ns)


def _constant(rate_per_s: float, from_ns: int, to_ns: int) -> Iterator[int]:
    # Each from the start and not from the one before: gaps of whole nanoseconds would add up their rounding.
    gap = 1e9 / rate_per_s
    at, number = from_ns, 0
    while at < to_ns:
        yield at
        number += 1
        at = from_ns + int(number * gap)


def _poisson(rate_per_s: float, from_ns: int, to_ns: int, dice: random.Random) -> Iterator[int]:
    per_ns = rate_per_s / 1e9
    at = from_ns + dice.expovariate(per_ns)
    while at < to_ns:
        yield int(at)
        at += dice.expovariate(per_ns)
