"""The plan: the load to offer. Frozen data, shared by the control plane and the load generator.

The JSON field names are the attribute names; every field has its unit in its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from app.load.protocol.http_request import HttpRequest, masked

EXECUTORS = ("constant-vus", "ramping-vus", "constant-arrival-rate", "ramping-arrival-rate", "find-capacity")
CLOSED = frozenset(("constant-vus", "ramping-vus"))
RAMPING = frozenset(("ramping-vus", "ramping-arrival-rate"))
PLACEMENTS = SPLIT, SHARED, HOSTS = ("split", "shared", "hosts")
SPACINGS = ("constant", "poisson")
# An application of the user (`app`) is sent the same requests as any other server (`http`).
HTTP_KINDS = HTTP, APP = ("http", "app")
KINDS = ("plaintext", "echo", "cpu", "hash", "sleep", "bytes", *HTTP_KINDS)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request in the work mix; its share is `weight` divided by the sum of all weights.

    `params` by `kind`: `cpu` and `hash` have `{"us": int}` (µs of work), `sleep` has `{"ms": int}`, `bytes`
    has `{"n": int}` (bytes of the response body), `echo` has `{"n": int}` (bytes of the request body, which
    the server sends back). `plaintext` has none. `http` and `app` have the fields of `HttpRequest`.
    """

    kind: str
    weight: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def http(self) -> HttpRequest:
        """The request of a kind of HTTP_KINDS. Raises TypeError if the parameters are not those of one."""
        return HttpRequest(**self.params)

    @property
    def label(self) -> str:
        """The name in results: `plaintext`, `sleep ms=50`, `http GET /items`."""
        if self.kind in HTTP_KINDS:
            return f"{self.kind} {self.http.title}"
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.params.items())])

    @property
    def masked(self) -> Work:
        """The same with the values of secret headers masked."""
        return replace(self, params=masked(self.params)) if self.kind in HTTP_KINDS else self


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a ramp: the load goes linearly to `target` (connections, or req/s) in `duration_s`."""

    duration_s: float
    target: float


GROUP_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def is_group_name(text: str) -> bool:
    """Return whether a load group may have this name, of any length."""
    return bool(text) and GROUP_NAME_CHARACTERS.issuperset(text)


@dataclass(frozen=True, slots=True)
class LoadGroup:
    """A further load beside the main one, with connections and results of its own.

    With `rate_per_s` it is an open model, without it a closed one with `think_time_ms`. Its other fields are
    as in `Plan`, which has what all loads share: warm-up, duration, spacing, timeout and placement.
    """

    name: str
    vus: int = 8
    rate_per_s: float | None = None
    churn: bool = False
    work: tuple[Work, ...] = (Work("plaintext"),)
    think_time_ms: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoadGroup:
        """Return the group of trusted JSON data. Raises TypeError for unknown fields, or without a name."""
        return cls(**{**data, "work": _works(data.get("work"))})


def _works(mix: Sequence[Mapping[str, Any]] | None) -> tuple[Work, ...]:
    return tuple(Work(**each) for each in mix or ()) or (Work("plaintext"),)


def _masked(works: Sequence[Work]) -> tuple[Work, ...]:
    return tuple(work.masked for work in works)


@dataclass(frozen=True, slots=True)
class Plan:
    """The load to offer.

    - `executor`: one of EXECUTORS. In the closed model (`constant-vus`, `ramping-vus`) each connection sends
      its next request when it has the response, after `think_time_ms`. In the open model (the arrival rates)
      requests are sent at `rate_per_s`, whether responses arrive or not. `find-capacity` searches upward from
      `rate_per_s` for the highest rate that meets `objective`, in trials of `duration_s`.
    - `vus`: connections. The open model uses at most so many.
    - `rate_per_s`: requests per second of the open model. `spacing`: one of SPACINGS.
    - `stages`: of the ramping executors, which start from `vus` or `rate_per_s` and last as long as their
      stages.
    - `objective`: a threshold (`p(99)<20ms`).
    - `warmup_s`, `duration_s`: not measured, then measured.
    - `work`: the work mix.
    - `churn`: a new connection for each request. `pipeline`: requests in flight per connection (closed model
      only).
    - `idle_connections`, `slow_readers`, `slow_writers`: background connections, which are not in the
      results.
    - `stall_ms`: stops the engine's process for so long in the middle of the measured time.
    - `timeout_s`: of a request and of connect().
    - `shards`: processes of the load generator. `placement`: one of PLACEMENTS.
    - `trace`: whether to record what the engine's threads do.
    - `groups`: further loads, each a process of its own. The other fields describe the main load.
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
    groups: tuple[LoadGroup, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the main load is an open model."""
        return self.executor not in CLOSED

    @property
    def is_all_open(self) -> bool:
        """Whether the main load and all groups are open models, which never use a CPU without a pause."""
        return self.is_open and all(group.rate_per_s for group in self.groups)

    @property
    def vus_peak(self) -> int:
        """The most connections of the main load, without background connections."""
        if self.executor != "ramping-vus":
            return self.vus
        return max(self.vus, *(int(stage.target) for stage in self.stages))

    @property
    def connections(self) -> int:
        """The most connections at once, with background connections and those of groups."""
        background = self.idle_connections + self.slow_readers + self.slow_writers
        return self.vus_peak + background + sum(group.vus for group in self.groups)

    @property
    def main_load(self) -> Plan:
        """The plan of the main load alone."""
        return replace(self, groups=())

    def group_load(self, group: LoadGroup) -> Plan:
        """Return the plan of one group alone: what all loads share, and what the group has itself."""
        return Plan(
            executor="constant-arrival-rate" if group.rate_per_s else "constant-vus",
            vus=group.vus,
            rate_per_s=group.rate_per_s,
            spacing=self.spacing,
            duration_s=self.duration_s,
            warmup_s=self.warmup_s,
            work=group.work,
            churn=group.churn,
            think_time_ms=group.think_time_ms,
            timeout_s=self.timeout_s,
            placement=self.placement,
            trace=self.trace,
        )

    @property
    def total_s(self) -> float:
        """Warm-up and measured time."""
        return self.warmup_s + self.duration_s

    @property
    def masked(self) -> Plan:
        """The same plan with the values of secret headers masked."""
        groups = tuple(replace(group, work=_masked(group.work)) for group in self.groups)
        return replace(self, work=_masked(self.work), groups=groups)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data for views, the history and exports: secret headers are masked."""
        return asdict(self.masked)

    def to_job(self) -> dict[str, Any]:
        """Return plain JSON data with secret headers: for the stdin of the load generator only."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Return the plan of trusted JSON data, which the control plane has validated.

        Raises TypeError for unknown fields.
        """
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise TypeError(f"unknown plan fields: {', '.join(sorted(unknown))}")
        stages = tuple(Stage(**each) for each in data.get("stages") or ())
        groups = tuple(map(LoadGroup.from_json, data.get("groups") or ()))
        plan = cls(**{**data, "work": _works(data.get("work")), "stages": stages, "groups": groups})
        if plan.executor in RAMPING and stages:
            plan = replace(plan, duration_s=sum(stage.duration_s for stage in stages))
        return plan
