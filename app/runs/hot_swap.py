"""A hot swap: several engines serve on one port, one after the other, while the load continues.

    first serves ──> successor starts on the port ──> both accept ──> first drains ──> successor serves alone

A phase is the time in which one engine served alone. The seconds in which two engines ran belong to no phase.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.fleet.engine import Engine
from app.fleet.fleet import Fleet
from app.load.protocol import histogram
from app.load.protocol.meter import MeterReading
from app.load.protocol.outcome import Outcome, Second
from app.load.protocol.plan import Plan
from app.results.ledger import cost
from app.results.observation import Observation
from app.schemas.run import HotSwapPhase, Successor


class HotSwap:
    """The schedule of a hot swap; without successors there is none. Event loop of the main thread only.

    requested: successors that were requested to start so far, including those that failed.
    """

    def __init__(
        self, fleet: Fleet, successors: Sequence[Successor] = (), cpus: Sequence[int] | None = None
    ) -> None:
        self._fleet = fleet
        self._successors = tuple(successors)
        self._cpus = cpus
        self.requested = 0

    def __len__(self) -> int:
        """Return the number of successors."""
        return len(self._successors)

    def is_due(self, now: MeterReading, duration_s: float) -> bool:
        """Return whether a successor must start now. Each engine has an equal share of the measured time."""
        if self.requested == len(self) or not now.measured_from_ns:
            return False
        share_s = duration_s / (len(self) + 1)
        return (now.at_ns - now.measured_from_ns) / 1e9 >= share_s * (self.requested + 1)

    async def start_next(self, port: int) -> Engine:
        """Start the next successor on the port of the serving engine. Raises LabError."""
        successor = self._successors[self.requested]
        self.requested += 1
        view = await self._fleet.start(successor.model, successor.knobs, port, self._cpus, reuse_port=True)
        return self._fleet.engine(view.id)

    async def drain(self, engine: Engine) -> None:
        """Stop an engine after its in-flight requests; its clients reconnect to the successor."""
        await self._fleet.stop(engine.id)


def phases(
    observations: Sequence[Observation], outcome: Outcome, started_ns: int
) -> tuple[HotSwapPhase, ...]:
    """Return one phase per engine, in whole seconds; none without a hot swap.

    `observations`: of the engines in their order. `started_ns`: start of the load, CLOCK_MONOTONIC.
    """
    if len(observations) < 2:
        return ()
    found = []
    for observation, successor in zip(observations, [*observations[1:], None], strict=True):
        from_s = (observation.alone_from_ns - started_ns) / 1e9 if observation.alone_from_ns else None
        to_s = (successor.begun_ns - started_ns) / 1e9 if successor else float("inf")
        seconds = [] if from_s is None else [each for each in outcome.seconds if _inside(each, from_s, to_s)]
        found.append(_phase(observation, seconds))
    return tuple(found)


def swap_notes(plan: Plan, observations: Sequence[Observation]) -> tuple[str, ...]:
    """Return notes on a hot swap, in sentences."""
    if len(observations) < 2:
        return ()
    whole = "A phase is the whole seconds in which one engine served alone; other seconds belong to no phase."
    if not plan.trace:
        return (whole,)
    return (
        whole,
        f"The thread trace covers only the first engine, {observations[0].engine}.",
    )


def _inside(second: Second, from_s: float, to_s: float) -> bool:
    return second.phase == "measure" and second.t >= from_s and second.t + second.length_s <= to_s


def _phase(observation: Observation, seconds: Sequence[Second]) -> HotSwapPhase:
    length_s = sum(second.length_s for second in seconds)
    requests = sum(second.requests for second in seconds)
    ledger = cost(observation, None)
    return HotSwapPhase(
        engine=observation.engine,
        model=observation.model,
        model_title=observation.model_title,
        from_s=seconds[0].t if seconds else None,
        to_s=seconds[-1].t + seconds[-1].length_s if seconds else None,
        requests=requests if seconds else None,
        errors=sum(second.errors for second in seconds) if seconds else None,
        achieved_per_s=requests / length_s if length_s else None,
        service=histogram.percentiles(
            histogram.merge(histogram.decode(second.service) for second in seconds)
        ),
        response=histogram.percentiles(
            histogram.merge(histogram.decode(second.response) for second in seconds)
        ),
        cpu_us=ledger.cpu_us if ledger else None,
    )
