"""The order: what the control plane hands a shard on stdin. Checked before anything is opened."""

from __future__ import annotations

import ipaddress
import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.load.protocol.plan import EXECUTORS, KINDS, RAMPING, Plan
from app.load.protocol.shard_share import ShardShare

SPARE_DESCRIPTORS = 64  # stdio, epoll, timer, meter, life-line, and what the interpreter opens by itself


class InvalidJob(ValueError):
    """The order cannot be carried out; the message is one sentence that a person can act on."""


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard's orders: the whole plan, and which part of it is this shard's.

    Descriptors are inherited; `parent_pid` is who must still be there. One of several shards begins when it is told to,
    through its life-line.
    """

    host: str
    port: int
    plan: Plan
    shard: int = 0
    shards: int = 1
    cpus: tuple[int, ...] | None = None
    realtime: bool = False  # priority, on `cpus`
    meter_fd: int | None = None
    lifeline_fd: int | None = None
    parent_pid: int | None = None
    allow_any: bool = False

    @property
    def share(self) -> ShardShare:
        return ShardShare(self.shard, self.shards)

    @classmethod
    def parse(cls, text: str) -> ShardJob:
        try:
            data = json.loads(text)
            job = cls._from(data)
        except InvalidJob:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidJob(f"the order on stdin cannot be read: {error}") from error
        job._check_target()
        job._check_plan()
        job._check_connections()
        job._check_share()
        return job

    @classmethod
    def _from(cls, data: Mapping[str, Any]) -> ShardJob:
        if unknown := set(data) - {f.name for f in fields(cls)}:
            raise InvalidJob(f"the order has unknown fields: {', '.join(sorted(unknown))}")
        cpus = data.get("cpus")
        return cls(**{**data, "plan": Plan.from_json(data["plan"]), "cpus": tuple(cpus) if cpus else None})

    def _check_target(self) -> None:
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise InvalidJob(
                f"host {self.host!r} is not an IP address; names are resolved before the order"
            ) from None
        if not (address.is_loopback or self.allow_any):
            raise InvalidJob(
                f"host {self.host} is not a loopback address, and the order does not allow others"
            )

    def _check_plan(self) -> None:
        """Only what the shard itself would stumble over; the bounds are the control plane's."""
        plan = self.plan
        if plan.executor not in EXECUTORS:
            raise InvalidJob(f"executor {plan.executor!r} is not one of {', '.join(EXECUTORS)}")
        if plan.executor == "find-capacity":
            raise InvalidJob(
                "find-capacity is a search that the lab makes out of trials: a shard takes an order for each"
            )
        if plan.is_open and not (plan.rate_per_s and plan.rate_per_s > 0):
            raise InvalidJob(f"rate_per_s must be above 0 for {plan.executor}")
        if plan.executor in RAMPING and not plan.stages:
            raise InvalidJob(f"{plan.executor} needs stages")
        if any(stage.duration_s < 0 or stage.target < 0 for stage in plan.stages):
            raise InvalidJob("the duration and the target of a stage are 0 or more")
        if plan.vus < 1 or plan.duration_s <= 0 or plan.timeout_s <= 0:
            raise InvalidJob("vus, duration_s and timeout_s must be above 0")
        if any(work.kind not in KINDS or work.weight < 0 for work in plan.work) or not sum(
            w.weight for w in plan.work
        ):
            raise InvalidJob(f"work must be of {', '.join(KINDS)}, with weights that add up to more than 0")

    def _check_connections(self) -> None:
        plan = self.plan
        if plan.pipeline < 1 or (plan.pipeline > 1 and (plan.is_open or plan.churn)):
            raise InvalidJob("a pipeline of more than 1 needs a closed model, and connections that are kept")
        if min(plan.idle_connections, plan.slow_readers, plan.slow_writers) < 0:
            raise InvalidJob("idle_connections, slow_readers and slow_writers are 0 or more")

    def _check_share(self) -> None:
        if not 0 <= self.shard < self.shards:
            raise InvalidJob(f"there is no shard {self.shard} of {self.shards}")
        if not self.share.portion(self.plan.vus_peak):
            raise InvalidJob(
                f"{self.plan.vus_peak} connections are too few for {self.shards} shards: each needs one"
            )
        if self.shards > 1 and self.lifeline_fd is None:
            raise InvalidJob("one of several shards needs a life-line: through it comes the instant to begin")

    @property
    def descriptors(self) -> int:
        return self.share.portion(self.plan.connections) + len(self._background) + SPARE_DESCRIPTORS

    @property
    def _background(self) -> tuple[int, ...]:
        """Each of these crowds is dealt by itself, so a shard has up to one more of each."""
        return (self.plan.idle_connections, self.plan.slow_readers, self.plan.slow_writers)

    def raise_descriptor_limit(self) -> None:
        """Raise the soft limit to the hard one, and refuse a plan that does not fit under it."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard != resource.RLIM_INFINITY and self.descriptors > hard:
            raise InvalidJob(
                f"{self.plan.vus_peak} connections and {sum(self._background)} beside them need {self.descriptors} "
                f"descriptors, and the limit is {hard}: ask for fewer, or raise the limit (ulimit -Hn)"
            )
