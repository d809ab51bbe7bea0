"""The CPU work of `/cpu` and `/hash`, and how many iterations take a microsecond.

Both run a *fixed number of iterations*, calibrated once. A loop that runs until a clock says stop would fake
scaling: it also counts the time in which it was descheduled.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """Iterations per microsecond on this machine when a core is free."""

    cpu_per_us: float
    hash_per_us: float


def spin(iterations: int) -> None:
    """Burn CPU and hold the GIL."""
    for _ in range(iterations):
        pass


def hash_rounds(iterations: int) -> None:
    """Burn CPU in C with the GIL released."""
    hashlib.pbkdf2_hmac("sha256", b"threadlab", b"salt", max(1, iterations))


def calibrate() -> Calibration:
    """Measure both loops (0.1 s); return the best of several runs, because interruptions only add time."""

    def per_us(burn: Callable[[int], None], iterations: int) -> float:
        best = min(_timed(burn, iterations) for _ in range(7))
        return iterations / (best / 1000)

    return Calibration(per_us(spin, 200_000), per_us(hash_rounds, 5_000))


def _timed(burn: Callable[[int], None], iterations: int) -> int:
    start = time.perf_counter_ns()
    burn(iterations)
    return time.perf_counter_ns() - start
