"""The job of a shard: what the control plane writes to its stdin. It is checked before anything is opened."""

from __future__ import annotations

import ipaddress
import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.load.protocol.plan import EXECUTORS, HTTP_KINDS, KINDS, RAMPING, Plan
from app.load.protocol.shard_share import ShardShare

SPARE_DESCRIPTORS = 64  # stdio, epoll, timer, meter, lifeline, and those that the interpreter opens


class InvalidJob(ValueError):
    """The job is invalid, or cannot be done on this machine.

    The message is one sentence that a person can act on.
    """


@dataclass(frozen=True, slots=True)
class ShardJob:
    """A plan, and which share of it this shard has. The JSON field names are the attribute names.

    - `host`, `port`: the target; an IP address, of the loopback unless `allow_any`.
    - `shard`, `shards`: the number of this shard, counted from 0, and how many there are.
    - `waits`: whether to wait for the start time, because other shards start at the same instant. One of
      several shards always does. `fenced`: whether to refuse a start time that has passed, as it may when it
      comes from another host.
    - `cpus`: the CPUs to run on; None: any. `realtime`: whether to use real-time priority there.
    - `meter_fd`, `lifeline_fd`: inherited descriptors of the meter and of the lifeline; None: there is none.
      A shard that waits needs a lifeline, because the start time comes through it.
    - `parent_pid`: the process that must still be the parent; None: any.
    """

    host: str
    port: int
    plan: Plan
    shard: int = 0
    shards: int = 1
    waits: bool = False
    fenced: bool = False
    cpus: tuple[int, ...] | None = None
    realtime: bool = False
    meter_fd: int | None = None
    lifeline_fd: int | None = None
    parent_pid: int | None = None
    allow_any: bool = False

    @property
    def share(self) -> ShardShare:
        """Which share of the plan this shard has."""
        return ShardShare(self.shard, self.shards)

    @property
    def starts_with_others(self) -> bool:
        """Whether the shard waits for a start time that it has in common with others."""
        return self.waits or self.shards > 1

    @property
    def descriptors(self) -> int:
        """File descriptors that this shard needs.

        Idle connections, slow readers and slow writers are distributed separately, so a shard may have one
        more of each than its share of all connections.
        """
        return self.share.portion(self.plan.connections) + len(self._background) + SPARE_DESCRIPTORS

    @property
    def _background(self) -> tuple[int, ...]:
        return (self.plan.idle_connections, self.plan.slow_readers, self.plan.slow_writers)

    @classmethod
    def parse(cls, text: str) -> ShardJob:
        """Return the job of a JSON text. Raises InvalidJob."""
        try:
            job = cls._from_json(json.loads(text))
        except InvalidJob:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidJob(f"the job on stdin cannot be parsed: {error}") from error
        job._check_target()
        job._check_load()
        job._check_connections()
        job._check_share()
        return job

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> ShardJob:
        if unknown := set(data) - {f.name for f in fields(cls)}:
            raise InvalidJob(f"the job has unknown fields: {', '.join(sorted(unknown))}")
        cpus = data.get("cpus")
        return cls(**{**data, "plan": Plan.from_json(data["plan"]), "cpus": tuple(cpus) if cpus else None})

    def _check_target(self) -> None:
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise InvalidJob(f"host {self.host!r} is not an IP address; resolve the name first") from None
        if not (address.is_loopback or self.allow_any):
            raise InvalidJob(f"host {self.host} is not a loopback address, and allow_any is not set")

    def _check_load(self) -> None:
        """Check only what would break the shard; the bounds of a plan are checked by the control plane."""
        plan = self.plan
        if plan.executor not in EXECUTORS:
            raise InvalidJob(f"executor must be one of {', '.join(EXECUTORS)}, not {plan.executor!r}")
        if plan.executor == "find-capacity":
            raise InvalidJob("find-capacity is a series of trials: each trial is a separate job")
        if plan.is_open and not (plan.rate_per_s and plan.rate_per_s > 0):
            raise InvalidJob(f"rate_per_s must be above 0 for {plan.executor}")
        if plan.executor in RAMPING and not plan.stages:
            raise InvalidJob(f"{plan.executor} needs stages")
        if any(stage.duration_s < 0 or stage.target < 0 for stage in plan.stages):
            raise InvalidJob("duration_s and target of a stage must be 0 or more")
        if plan.vus < 1 or plan.duration_s <= 0 or plan.timeout_s <= 0:
            raise InvalidJob("vus, duration_s and timeout_s must be above 0")
        weights = [work.weight for work in plan.work]
        if any(work.kind not in KINDS for work in plan.work) or min(weights) < 0 or not sum(weights):
            raise InvalidJob(f"work must be of {', '.join(KINDS)}, with weights whose sum is above 0")
        try:
            [work.http for work in plan.work if work.kind in HTTP_KINDS]
        except TypeError as error:
            raise InvalidJob(f"the parameters of an http request are invalid: {error}") from None

    def _check_connections(self) -> None:
        plan = self.plan
        if plan.pipeline < 1 or (plan.pipeline > 1 and (plan.is_open or plan.churn)):
            raise InvalidJob("pipeline above 1 needs a closed model without churn")
        if min(self._background) < 0:
            raise InvalidJob("idle_connections, slow_readers and slow_writers must be 0 or more")

    def _check_share(self) -> None:
        if not 0 <= self.shard < self.shards:
            raise InvalidJob(f"there is no shard {self.shard} of {self.shards}")
        connections = self.plan.vus_peak
        if not self.share.portion(connections):
            raise InvalidJob(
                f"{connections} connections are too few for {self.shards} shards: each needs one"
            )
        if self.starts_with_others and self.lifeline_fd is None:
            raise InvalidJob("one of several shards needs a lifeline_fd: the start time comes through it")
        if self.plan.groups:
            raise InvalidJob("a load group is a separate job: the plan of a shard has no groups")

    def raise_descriptor_limit(self) -> None:
        """Raise this process's soft limit of file descriptors to the hard one (RLIMIT_NOFILE).

        Raises InvalidJob if the job needs more than that.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard != resource.RLIM_INFINITY and self.descriptors > hard:
            raise InvalidJob(
                f"{self.plan.vus_peak} connections and {sum(self._background)} background connections need "
                f"{self.descriptors} file descriptors, but the limit is {hard}: use fewer connections, or "
                "raise the limit (ulimit -Hn)"
            )
