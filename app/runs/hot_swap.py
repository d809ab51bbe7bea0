"""A relay, or hot swap: engines that hold one port in turn, while the load stays on.

    one serves ──> the next starts on the same port ──> both accept ──> the first drains ──> the next serves alone

A leg is what one of them served alone. The seconds in which two are there belong to no leg.
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
    """Who takes over, and when. Event loop of the main thread only."""

    def __init__(
        self, fleet: Fleet, followers: Sequence[Successor] = (), cpus: Sequence[int] | None = None
    ) -> None:
        self._fleet = fleet
        self._followers = tuple(followers)
        self._cpus = cpus
        self.asked = 0  # how many were told to take over, whether they could or not

    def __len__(self) -> int:
        """How many engines are to take over."""
        return len(self._followers)

    def is_due(self, now: MeterReading, duration_s: float) -> bool:
        """Whether the next one should take over: the measured time is shared out equally."""
        if self.asked == len(self._followers) or not now.measured_from_ns:
            return False
        share_s = duration_s / (len(self._followers) + 1)
        return (now.at_ns - now.measured_from_ns) / 1e9 >= share_s * (self.asked + 1)

    async def next_on(self, port: int) -> Engine:
        """Start the next engine on the port of the one that serves. Raises LabError."""
        follower = self._followers[self.asked]
        self.asked += 1
        view = await self._fleet.start(follower.model, follower.knobs, port, self._cpus, reuse_port=True)
        return self._fleet.engine(view.id)

    async def release(self, engine: Engine) -> None:
        """Drain it: its connections are closed as their answers are out, and come back to the next one."""
        await self._fleet.stop(engine.id)


def phases(
    observations: Sequence[Observation], outcome: Outcome, started_ns: int
) -> tuple[HotSwapPhase, ...]:
    """What each engine served alone, in whole seconds; none if there was no relay."""
    if len(observations) < 2:
        return ()
    found = []
    for observation, follower in zip(observations, [*observations[1:], None], strict=True):
        from_s = (observation.alone_from_ns - started_ns) / 1e9 if observation.alone_from_ns else None
        to_s = (follower.begun_ns - started_ns) / 1e9 if follower else float("inf")
        inside = (
            [] if from_s is None else [second for second in outcome.seconds if _inside(second, from_s, to_s)]
        )
        found.append(_phase(observation, inside))
    return tuple(found)


def swap_remarks(plan: Plan, observations: Sequence[Observation]) -> tuple[str, ...]:
    """What is to be said of the relay beside its figures."""
    if len(observations) < 2 or not plan.trace:
        return ()
    return (f"The recorded trace is of {observations[0].engine} only, which served first.",)


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
        requests=requests,
        errors=sum(second.errors for second in seconds),
        achieved_per_s=requests / length_s if length_s else None,
        service=histogram.percentiles(
            histogram.merge(histogram.decode(second.service) for second in seconds)
        ),
        response=histogram.percentiles(
            histogram.merge(histogram.decode(second.response) for second in seconds)
        ),
        cpu_us=ledger.cpu_us if ledger else None,
    )
