"""The work mix of one phase: which request is sent next."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from math import gcd

from app.load.connections.request_kind import RequestKind, request_kind
from app.load.protocol.plan import Plan


class RequestMix:
    """The kinds of request of one phase. `pick()` returns the kind of the next request.

    The order is one shuffled round, repeated, instead of a random choice each time: so the shares of the
    kinds are exact after every whole round.
    """

    def __init__(self, plan: Plan, host: str, seed: int = 1) -> None:
        self.kinds = [request_kind(work, host, plan.is_open) for work in plan.work]
        divisor = gcd(*(work.weight for work in plan.work)) or 1
        round_ = [
            kind
            for kind, work in zip(self.kinds, plan.work, strict=True)
            for _ in range(work.weight // divisor)
        ]
        random.Random(seed).shuffle(round_)
        self.pick: Callable[[], RequestKind] = cycle(round_).__next__
