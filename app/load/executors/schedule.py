"""When each request of the open model is due: fixed in nanoseconds before any response is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count, islice, repeat, takewhile

from app.load.executors.ramp import Ramp
from app.load.protocol.shard_share import ShardShare

WHOLE = ShardShare()


@dataclass(frozen=True, slots=True)
class Schedule:
    """The intended times of a phase.

    - `ramp`: the rate in requests per second. `spacing`: `constant` or `poisson`.
    - `share`: of n shards each has every nth time, so that together they send exactly as one shard would.
    - `seed`: of the Poisson process.
    """

    ramp: Ramp
    spacing: str
    share: ShardShare = WHOLE
    seed: int = 1

    def times(self, from_ns: int, to_ns: int) -> Iterator[int]:
        """Yield the intended times in [from_ns, to_ns) in order, in ns."""
        if self.spacing == "constant" and not self.ramp.stages:
            return self._constant(from_ns, to_ns)
        times = (from_ns + int(1e9 * at_s) for at_s in self.ramp.arrivals(self._arrival_numbers()))
        return takewhile(lambda at_ns: at_ns < to_ns, times)

    def _constant(self, from_ns: int, to_ns: int) -> Iterator[int]:
        # Each from the start and not from the one before, so that rounding to whole nanoseconds does not add
        # up.
        gap, number = 1e9 / self.ramp.start, self.share.index
        while (at_ns := from_ns + int(number * gap)) < to_ns:
            yield at_ns
            number += self.share.shards

    def _arrival_numbers(self) -> Iterator[float]:
        """Yield the numbers of arrivals at which this shard sends.

        For Poisson arrivals the gaps between them are exponentially distributed with mean 1, and the ramp
        maps them to time. Every shard draws the numbers of all shards (0.6 µs each) and keeps its own:
        independent processes would add up to a Poisson process too, but not to the same one.
        """
        if self.spacing == "constant":
            return count(float(self.share.index), self.share.shards)
        gaps = map(random.Random(self.seed).expovariate, repeat(1.0))
        return islice(accumulate(gaps), self.share.index, None, self.share.shards)
