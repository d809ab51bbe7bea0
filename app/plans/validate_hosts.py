"""Validation of a plan whose load comes from other hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.addresses import WILDCARDS, is_loopback
from app.errors import FieldProblem, Invalid, NotNow
from app.load.protocol.plan import HOSTS, Plan
from app.schemas.host import HostView


def check_hosts(
    plan: Plan, hosts: Sequence[HostView], cluster: str | None, problem: str | None, engine_host: str
) -> None:
    """Raise if the load of this plan cannot come from these hosts; do nothing for other placements.

    `cluster`: address of the scheduler, None: none. `problem`: why it cannot be used now. Raises Invalid, and
    NotNow if it may work later.
    """
    if plan.placement != HOSTS:
        return
    if cluster is None:
        raise Invalid.field(
            "/plan/placement",
            "Placement hosts needs a cluster: start the lab with --cluster tls://SCHEDULER:8786. "
            "See docs/cluster.md.",
        )
    problems = tuple(_problems(plan, hosts, engine_host))
    if problems:
        raise Invalid(" ".join(each.detail for each in problems), problems)
    if not hosts:
        raise NotNow(problem or f"No host of the cluster at {cluster} generates load now.")


def _problems(plan: Plan, hosts: Sequence[HostView], engine_host: str) -> Iterator[FieldProblem]:
    if plan.trace:
        yield FieldProblem(
            "/plan/trace",
            "A thread trace needs the load on this machine: clocks of hosts differ by more than it shows.",
        )
    if engine_host in WILDCARDS:
        yield FieldProblem(
            "/plan/placement",
            f"Engines listen on {engine_host}, which is no address that hosts can connect to: "
            "set engine_host to the address of this machine in their network.",
        )
    elif is_loopback(engine_host) and not all(host.is_here for host in hosts):
        yield FieldProblem(
            "/plan/placement",
            f"Engines listen on {engine_host}, which other hosts cannot reach: "
            "set engine_host to the address of this machine in their network.",
        )
    cores = sum(host.cores for host in hosts)
    if hosts and plan.shards > cores:
        yield FieldProblem(
            "/plan/shards", f"shards must be at most {cores:,}, the CPUs of the hosts that generate load."
        )
