"""The plan: what load to offer. Plain frozen data, shared by the control plane and the load generator.

JSON in and out are the field names as they stand; every field has its unit in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

EXECUTORS = ("constant-vus", "ramping-vus", "constant-arrival-rate", "ramping-arrival-rate", "find-capacity")
CLOSED = frozenset(("constant-vus", "ramping-vus"))
RAMPING = frozenset(("ramping-vus", "ramping-arrival-rate"))
PLACEMENTS = ("split", "shared")
SPACINGS = ("constant", "poisson")
KINDS = ("plaintext", "echo", "cpu", "hash", "sleep", "bytes")


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request in the mix; `weight` is its share among the weights of all.

    `params` of each kind: cpu and hash `{"us": int}`, sleep `{"ms": int}`, bytes `{"n": int}`,
    echo `{"n": int}` (length of the body sent); plaintext has none.
    """

    kind: str
    weight: int = 1
    params: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How results name it: `plaintext`, `sleep ms=50`."""
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.params.items())])


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a ramp: in `duration_s` the load goes in a straight line to `target` (connections, or requests/s)."""

    duration_s: float
    target: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The load to offer. Closed model: `vus` connections as fast as answers come (after `think_time_ms`).
    Open model: `rate_per_s` requests a second over at most `vus` connections, whether answers come or not.

    Ramps go through `stages`, from `vus` or `rate_per_s` as they are in the warm-up; they last as long as their stages.
    `find-capacity` searches upward from `rate_per_s` for the highest rate that keeps `objective` (a threshold), with
    trials of `duration_s`. Beside the load may stand `idle_connections`, `slow_readers` and `slow_writers`; `stall_ms`
    stops the engine's process for so long in the middle of the measured time; `trace` records what its threads do.
    """

    executor: str = "constant-vus"
    vus: int = 64
    rate_per_s: float | None = None
    spacing: str = "constant"
    stages: tuple[Stage, ...] = ()
    objective: str | None = None
    duration_s: float = 10.0
    warmup_s: float = 2.0
    work: tuple[Work, ...] = (Work("plaintext"),)
    churn: bool = False
    pipeline: int = 1
    idle_connections: int = 0
    slow_readers: int = 0
    slow_writers: int = 0
    stall_ms: int = 0
    think_time_ms: float = 0.0
    timeout_s: float = 5.0
    shards: int = 1
    placement: str = "split"
    trace: bool = False

    @property
    def is_open(self) -> bool:
        return self.executor not in CLOSED

    @property
    def vus_peak(self) -> int:
        """The most connections that the load itself opens, those that stand beside it not counted."""
        if self.executor != "ramping-vus":
            return self.vus
        return max(self.vus, *(int(stage.target) for stage in self.stages))

    @property
    def connections(self) -> int:
        """The most connections at once."""
        return self.vus_peak + self.idle_connections + self.slow_readers + self.slow_writers

    @property
    def total_s(self) -> float:
        return self.warmup_s + self.duration_s

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Build from trusted JSON (the control plane has validated it); unknown names raise TypeError."""
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise TypeError(f"unknown plan fields: {', '.join(sorted(unknown))}")
        work = tuple(Work(**each) for each in data.get("work") or ()) or cls().work
        stages = tuple(Stage(**each) for each in data.get("stages") or ())
        plan = replace(cls(**{**data, "work": work, "stages": stages}))
        if plan.executor in RAMPING and stages:
            plan = replace(plan, duration_s=sum(stage.duration_s for stage in stages))
        return plan
