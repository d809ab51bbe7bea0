"""x"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """Iterations that take one microsecond on this machine, when a core is free."""

    cpu_per_us: float
    hash_per_us: float


def spin(iterations: int) -> None:
    for _ in range(iterations):
        pass


def hash_rounds(iterations: int) -> None:
    hashlib.pbkdf2_hmac("sha256", b"threadlab", b"salt", max(1, iterations))


def calibrate() -> Calibration:
    """Time both loops (about 0.1 s); the best of several, because interruptions only ever add."""

    def per_us(burn: Callable[[int], None], iterations: int) -> float:
        best = min(_timed(burn, iterations) for _ in range(7))
        return iterations / (best / 1000)

    return Calibration(per_us(spin, 200_000), per_us(hash_rounds, 5_000))


def _timed(burn: Callable[[int], None], iterations: int) -> int:
    start = time.perf_counter_ns()
    burn(iterations)
    return time.perf_counter_ns() - start
