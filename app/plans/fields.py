"""The fields of a plan, each defined once.

The API schema, the command line's flags, the load form and the bounds checks are derived from this table.
Types and defaults are those of `Plan`; a new field is added there and here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.load.protocol.plan import CLOSED, EXECUTORS, PLACEMENTS, RAMPING, SPACINGS, Plan

FIND_CAPACITY = "find-capacity"
OPEN = frozenset(EXECUTORS) - CLOSED


class FieldKind(StrEnum):
    """The kind of value of a field: it decides how the field is written and validated."""

    CHOICE = "choice"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"
    WORK = "work"  # a request mix: 92% plaintext, 8% sleep 40ms
    STAGES = "stages"  # a ramp: 10s to 2000, 20s to 5000
    GROUPS = "groups"  # load groups: new: 8 connections, 200 req/s, churn


class Limit(StrEnum):
    """A maximum that depends on this machine or on its settings."""

    CONNECTIONS = "connections"
    RATE = "rate"
    DURATION = "duration"


@dataclass(frozen=True, slots=True)
class PlanField:
    """One field of a plan. `help` is one sentence for the API description, the flag and the form."""

    name: str
    kind: FieldKind
    label: str
    help: str
    unit: str = ""
    minimum: float = 0
    maximum: float | Limit = float("inf")
    choices: Mapping[str, str] = field(default_factory=dict)  # value → label
    executors: frozenset[str] = frozenset(EXECUTORS)  # executors that use the field
    is_advanced: bool = False  # collapsed in the form
    flag: str = ""  # command-line flag, if it differs from the name

    @property
    def default(self) -> Any:
        """The value in a plan that does not give the field."""
        return getattr(_DEFAULTS, self.name)

    @property
    def option(self) -> str:
        """The command-line flag: `--idle`, `--slow-readers`."""
        return self.flag or f"--{self.name.replace('_', '-')}"


_DEFAULTS = Plan()
# Short enough for the load form: a select cuts a longer label.
_EXECUTOR_LABELS = {
    "constant-vus": "Closed loop: constant-vus",
    "ramping-vus": "Closed loop: ramping-vus",
    "constant-arrival-rate": "Open loop: constant-arrival-rate",
    "ramping-arrival-rate": "Open loop: ramping-arrival-rate",
    FIND_CAPACITY: "Find capacity (search)",
}

_PLACEMENT_LABELS = ("split: separate CPUs", "shared: all CPUs for both", "hosts: load on other hosts")

FIELDS: tuple[PlanField, ...] = (
    PlanField(
        "executor",
        FieldKind.CHOICE,
        "Executor",
        "Closed loop: each connection waits for its response. Open loop: requests are sent on schedule.",
        choices={name: _EXECUTOR_LABELS[name] for name in EXECUTORS},
    ),
    PlanField(
        "vus",
        FieldKind.INTEGER,
        "Connections",
        "Connections of the load; open executors use at most this many.",
        minimum=1,
        maximum=Limit.CONNECTIONS,
    ),
    PlanField(
        "rate_per_s",
        FieldKind.NUMBER,
        "Rate",
        "Requests per second of the open executors; find-capacity starts at this rate.",
        unit="req/s",
        minimum=1,
        maximum=Limit.RATE,
        executors=OPEN,
        flag="--rate",
    ),
    PlanField(
        "stages",
        FieldKind.STAGES,
        "Stages",
        "Ramp linearly, starting at the value above: 10s to 2000, 20s to 5000.",
        executors=RAMPING,
        flag="--stage",
    ),
    PlanField(
        "objective",
        FieldKind.TEXT,
        "Objective",
        "Search for the highest rate that meets this objective, such as p(99)<20ms.",
        executors=frozenset((FIND_CAPACITY,)),
    ),
    PlanField(
        "think_time_ms",
        FieldKind.NUMBER,
        "Think time",
        "Pause between a response and the next request of the same connection.",
        unit="ms",
        maximum=60_000,
        executors=CLOSED,
        flag="--think",
    ),
    PlanField(
        "spacing",
        FieldKind.CHOICE,
        "Arrival distribution",
        "Equal intervals between requests, or random intervals as of independent users (Poisson).",
        choices={name: name for name in SPACINGS},
        executors=OPEN - {FIND_CAPACITY},
    ),
    PlanField(
        "work",
        FieldKind.WORK,
        "Request mix",
        "Share and kind of the requests, such as 92% plaintext, 4% sleep 40ms, 4% http GET /items.",
    ),
    PlanField(
        "duration_s",
        FieldKind.NUMBER,
        "Duration",
        "Measured time of the run, or of each trial of find-capacity.",
        unit="s",
        minimum=0.5,
        maximum=Limit.DURATION,
        executors=frozenset(EXECUTORS) - RAMPING,
        flag="--duration",
    ),
    PlanField(
        "warmup_s",
        FieldKind.NUMBER,
        "Warm-up",
        "Load before the measured time; excluded from the result.",
        unit="s",
        maximum=Limit.DURATION,
        flag="--warmup",
    ),
    PlanField(
        "trace",
        FieldKind.FLAG,
        "Record thread trace",
        "Record every change of thread state. Adds overhead, so the result is not ranked.",
    ),
    PlanField(
        "churn",
        FieldKind.FLAG,
        "Connection churn",
        "Open a new connection for each request (no keep-alive).",
        is_advanced=True,
    ),
    PlanField(
        "pipeline",
        FieldKind.INTEGER,
        "Pipelining depth",
        "Requests in flight on each connection (closed executors).",
        minimum=1,
        maximum=64,
        executors=CLOSED,
        is_advanced=True,
    ),
    PlanField(
        "groups",
        FieldKind.GROUPS,
        "Load groups",
        "Further loads with own results, such as new: 8 connections, 200 req/s, churn; slow: 4 connections, "
        "sleep 40ms.",
        executors=frozenset(EXECUTORS) - {FIND_CAPACITY},
        is_advanced=True,
        flag="--group",
    ),
    PlanField(
        "idle_connections",
        FieldKind.INTEGER,
        "Idle connections",
        "Keep-alive connections that stay open without sending requests.",
        maximum=Limit.CONNECTIONS,
        is_advanced=True,
        flag="--idle",
    ),
    PlanField(
        "slow_readers",
        FieldKind.INTEGER,
        "Slow readers",
        "Connections that read 128 KiB responses slowly, 32 pipelined, so that the send buffer stays full.",
        maximum=1000,
        is_advanced=True,
    ),
    PlanField(
        "slow_writers",
        FieldKind.INTEGER,
        "Slow writers",
        "Connections that send their requests in small pieces.",
        maximum=1000,
        is_advanced=True,
    ),
    PlanField(
        "stall_ms",
        FieldKind.INTEGER,
        "Pause server for",
        "Stop all processes of the server in the middle of the measured time (SIGSTOP).",
        unit="ms",
        maximum=10_000,
        executors=frozenset(EXECUTORS) - {FIND_CAPACITY},
        is_advanced=True,
        flag="--stall",
    ),
    PlanField(
        "timeout_s",
        FieldKind.NUMBER,
        "Timeout",
        "Time after which a request counts as failed.",
        unit="s",
        minimum=0.1,
        maximum=60,
        is_advanced=True,
        flag="--timeout",
    ),
    PlanField(
        "shards",
        FieldKind.INTEGER,
        "Load-generator processes",
        "Processes that share the load, each on its own CPU if there are enough, or on the hosts in turn.",
        minimum=1,
        maximum=1024,
        is_advanced=True,
    ),
    PlanField(
        "placement",
        FieldKind.CHOICE,
        "Placement",
        "Split: server and load generator on separate CPUs. Shared: both on all CPUs. Hosts: the load "
        "generator on the other hosts of the cluster.",
        choices=dict(zip(PLACEMENTS, _PLACEMENT_LABELS, strict=True)),
        is_advanced=True,
    ),
)
BY_NAME = {each.name: each for each in FIELDS}


def used_fields(plan: Mapping[str, Any], executor: str) -> dict[str, Any]:
    """Return the fields of a plan (JSON) that the executor uses."""
    unused = {each.name for each in FIELDS if executor not in each.executors}
    return {name: value for name, value in plan.items() if name not in unused}
