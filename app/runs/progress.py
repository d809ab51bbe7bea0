"""Where a run stands: what its strip, its page and the frames show of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.load.protocol.meter import MEASURE, MeterReading, quantile_us
from app.load.protocol.plan import Plan
from app.schemas.run import RunView
from app.schemas.states import RunState

LAST_SECOND_S = 1.0
ENOUGH_S = 0.1  # of readings, before a rate is one
PHASES = ("connecting", "warmup", "measure", "drain", "done")


@dataclass(frozen=True, slots=True)
class Progress:
    """A run in progress. Rates and percentiles are of the last second; None where nothing was read in it."""

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


class LastSecond:
    """The newest reading of a meter, and one of a second before."""

    def __init__(self) -> None:
        self._readings: list[MeterReading] = []

    @property
    def now(self) -> MeterReading:
        return self._readings[-1] if self._readings else MeterReading()

    def add(self, now: MeterReading) -> None:
        if not self._readings or now.at_ns > self._readings[-1].at_ns:
            self._readings.append(now)
        while len(self._readings) > 1 and now.at_ns - self._readings[0].at_ns > 2 * LAST_SECOND_S * 1e9:
            self._readings.pop(0)

    def grown(self, at_ns: int) -> tuple[MeterReading, float]:
        """What the last second before `at_ns` brought, and how long it was: 0 if nothing was read in it."""
        now = self.now
        if at_ns - now.at_ns > LAST_SECOND_S * 1e9:
            return MeterReading(), 0.0
        earlier = next((r for r in self._readings if now.at_ns - r.at_ns <= LAST_SECOND_S * 1e9), now)
        return now - earlier, (now.at_ns - earlier.at_ns) / 1e9


def progress(view: RunView, plan: Plan, meter: LastSecond, done: float | None, total_s: float) -> Progress:
    """All of it; `done` is the share of a run that its clock does not tell, of `total_s` in all."""
    now, at_ns = meter.now, time.monotonic_ns()
    grown, seconds = meter.grown(at_ns)
    elapsed = (at_ns - now.started_ns) / 1e9 if now.started_ns else 0.0
    share = min(1.0, elapsed / total_s) if done is None else done

    def rate(count: int) -> float | None:
        return count / seconds if seconds > ENOUGH_S else None

    # The meter is read anew here, and the run hears of the end of its warm-up a little later: one frame, one truth.
    state = RunState.RUNNING if view.state == RunState.WARMING and now.phase >= MEASURE else view.state
    return Progress(
        id=view.id,
        state=state,
        engine=view.engine,
        title=view.title,
        phase=PHASES[now.phase],
        progress=share,
        elapsed_s=min(elapsed, total_s) if done is None else done * total_s,
        total_s=total_s,
        warmup_s=plan.warmup_s if done is None else 0.0,
        offered_per_s=rate(grown.intended) if plan.is_open else None,
        achieved_per_s=rate(grown.completed),
        in_flight=now.in_flight,
        errors=now.errors,
        connections=now.connections,
        p50_us=quantile_us(grown.service, 0.5),
        p99_us=quantile_us(grown.service, 0.99),
        response_p99_us=quantile_us(grown.response if plan.is_open else grown.service, 0.99),
        generator_utilisation=grown.cpu_ns / 1e9 / seconds / plan.shards if seconds > ENOUGH_S else None,
    )
