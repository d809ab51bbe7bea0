"""Progress and live figures of a run, from the meter of its load generator."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.load.protocol.meter import MEASURE, PHASES, MeterReading, quantile_us
from app.load.protocol.plan import Plan
from app.schemas.run import RunView
from app.schemas.states import RunState

WINDOW_S = 1.0
RATE_WINDOW_MIN_S = 0.1  # a shorter window has no rate


@dataclass(frozen=True, slots=True)
class Progress:
    """A run in progress. Rates and percentiles cover the last second; None without readings in it."""

    id: int
    state: RunState
    engine: str | None
    title: str
    phase: str
    progress: float
    elapsed_s: float
    total_s: float
    warmup_s: float
    offered_per_s: float | None
    achieved_per_s: float | None
    in_flight: int
    errors: int
    connections: int
    p50_us: float | None
    p99_us: float | None
    response_p99_us: float | None
    generator_utilisation: float | None


class MeterWindow:
    """The readings of a meter in the last second."""

    def __init__(self) -> None:
        self._readings: list[MeterReading] = []

    @property
    def latest(self) -> MeterReading:
        return self._readings[-1] if self._readings else MeterReading()

    def add(self, latest: MeterReading) -> None:
        """Add a reading, unless it is the one that was added last."""
        if not self._readings or latest.at_ns > self._readings[-1].at_ns:
            self._readings.append(latest)
        while len(self._readings) > 1 and latest.at_ns - self._readings[0].at_ns > 2 * WINDOW_S * 1e9:
            self._readings.pop(0)

    def growth(self, at_ns: int) -> tuple[MeterReading, float]:
        """Return the counts of the last second before `at_ns`, and its length in seconds; 0: no readings."""
        latest = self.latest
        if at_ns - latest.at_ns > WINDOW_S * 1e9:
            return MeterReading(), 0.0
        earlier = next((r for r in self._readings if latest.at_ns - r.at_ns <= WINDOW_S * 1e9), latest)
        return latest - earlier, (latest.at_ns - earlier.at_ns) / 1e9


def progress(
    view: RunView, plan: Plan, meter: MeterWindow, search_progress: float | None, total_s: float
) -> Progress:
    """Return the progress of a run.

    `search_progress`: the share of a capacity search that is done; None: the share follows from the clock.
    `total_s`: the (estimated) duration of the run in seconds.
    """
    latest, at_ns = meter.latest, time.monotonic_ns()
    growth, seconds = meter.growth(at_ns)
    elapsed_s = (at_ns - latest.started_ns) / 1e9 if latest.started_ns else 0.0
    is_search = search_progress is not None
    share = min(1.0, elapsed_s / total_s) if search_progress is None else search_progress

    def rate(count: int) -> float | None:
        return count / seconds if seconds > RATE_WINDOW_MIN_S else None

    # The meter reading may be newer than the state of the run; a frame must not show both.
    is_measuring = view.state == RunState.WARMING and latest.phase >= MEASURE
    utilisation = None
    if seconds > RATE_WINDOW_MIN_S:
        utilisation = growth.cpu_ns / 1e9 / seconds / plan.shards
    return Progress(
        id=view.id,
        state=RunState.RUNNING if is_measuring else view.state,
        engine=view.engine,
        title=view.title,
        phase=PHASES[latest.phase],
        progress=share,
        elapsed_s=share * total_s if is_search else min(elapsed_s, total_s),
        total_s=total_s,
        warmup_s=0.0 if is_search else plan.warmup_s,
        offered_per_s=rate(growth.intended) if plan.is_open else None,
        achieved_per_s=rate(growth.completed),
        in_flight=latest.in_flight,
        errors=latest.errors,
        connections=latest.connections,
        p50_us=quantile_us(growth.service, 0.5),
        p99_us=quantile_us(growth.service, 0.99),
        response_p99_us=quantile_us(growth.response if plan.is_open else growth.service, 0.99),
        generator_utilisation=utilisation,
    )
