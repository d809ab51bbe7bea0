"""The plan: what load to offer. Plain frozen data, shared by the control plane and the load generator.

JSON in and out are the field names as they stand; every field has its unit in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

EXECUTORS = ("constant-vus", "constant-arrival-rate")
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
class Plan:
    """The load to offer. Closed model: `vus` connections as fast as answers come (after `think_time_ms`).
    Open model: `rate_per_s` requests a second over at most `vus` connections, whether answers come or not."""

    executor: str = "constant-vus"
    vus: int = 64
    rate_per_s: float | None = None
    spacing: str = "constant"
    duration_s: float = 10.0
    warmup_s: float = 2.0
    work: tuple[Work, ...] = (Work("plaintext"),)
    idle_connections: int = 0
    think_time_ms: float = 0.0
    timeout_s: float = 5.0
    placement: str = "split"

    @property
    def is_open(self) -> bool:
        return self.executor == "constant-arrival-rate"

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
        work = tuple(Work(**each) for each in data.get("work", ())) or cls().work
        return replace(cls(**{k: v for k, v in data.items() if k != "work"}), work=work)
