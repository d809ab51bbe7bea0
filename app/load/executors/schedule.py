"""When each request of the open model is meant to be sent: nanoseconds, fixed before any answer is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, count, islice, repeat, takewhile

from app.load.executors.ramp import Ramp
from app.load.protocol.shard_share import ShardShare

WHOLE = ShardShare()


def intended_times(
    ramp: Ramp, spacing: str, from_ns: int, to_ns: int, share: ShardShare = WHOLE, seed: int = 1
) -> Iterator[int]:
    """The times in [from, to), in order; of n shards each takes every nth, so that together they send as one would."""
    if spacing == "constant" and not ramp.stages:
        return _level(ramp.start, from_ns, to_ns, share)
    if spacing == "constant":
        numbers: Iterator[float] = count(float(share.index), share.shards)
    else:
        # Exponential gaps in the number of arrivals, brought to time by the ramp: thinner where it is low. Every shard
        # throws all the dice, 0.6 µs each: independent ones would add up to Poisson arrivals too, but not to the same.
        dice = random.Random(seed)
        gaps = map(dice.expovariate, repeat(1.0))
        numbers = islice(accumulate(gaps), share.index, None, share.shards)
    return _until(to_ns, (from_ns + int(1e9 * at) for at in ramp.arrivals(numbers)))


def _level(rate_per_s: float, from_ns: int, to_ns: int, share: ShardShare) -> Iterator[int]:
    # Each from the start and not from the one before: gaps of whole nanoseconds would add up their rounding.
    gap, index = 1e9 / rate_per_s, share.index
    while (at := from_ns + int(index * gap)) < to_ns:
        yield at
        index += share.shards


def _until(to_ns: int, times: Iterator[int]) -> Iterator[int]:
    return takewhile(lambda at: at < to_ns, times)
