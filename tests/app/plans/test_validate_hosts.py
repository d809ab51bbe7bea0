"""What a plan whose load comes from other hosts cannot be, and which field is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.errors import Invalid, NotNow
from app.load.protocol.plan import HOSTS, SHARED, SPLIT, Plan
from app.plans.validate_hosts import check_hosts
from app.schemas.host import HostView
from tests.app.hosts.views import host_view

CLUSTER = "tls://10.0.0.5:8786"
PLAN = Plan(placement=HOSTS)


def pointers(plan: Plan, *hosts: HostView, engine_host: str = "10.0.0.4") -> list[str]:
    """Return the pointers of the invalid fields; there must be one."""
    with pytest.raises(Invalid) as refused:
        check_hosts(plan, hosts, CLUSTER, None, engine_host)
    assert refused.value.detail == " ".join(each.detail for each in refused.value.problems)
    return [each.pointer for each in refused.value.problems]


@pytest.mark.parametrize("mode", [SHARED, SPLIT])
def test_other_placements_need_no_host(mode: str) -> None:
    check_hosts(replace(PLAN, placement=mode, trace=True), (), None, "no connection", "127.0.0.1")


def test_a_load_from_hosts_that_reach_the_engine_is_valid() -> None:
    check_hosts(replace(PLAN, shards=4), (host_view(), host_view(name="b")), CLUSTER, None, "10.0.0.4")


def test_without_a_cluster_the_placement_is_refused() -> None:
    with pytest.raises(Invalid, match="start the lab with --cluster") as refused:
        check_hosts(PLAN, (), None, None, "127.0.0.1")
    assert [each.pointer for each in refused.value.problems] == ["/plan/placement"]


def test_a_trace_needs_the_load_on_this_machine() -> None:
    assert pointers(replace(PLAN, trace=True), host_view()) == ["/plan/trace"]


@pytest.mark.parametrize("engine_host", ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"])
def test_engines_must_have_an_address_that_the_hosts_can_connect_to(engine_host: str) -> None:
    assert pointers(PLAN, host_view(), engine_host=engine_host) == ["/plan/placement"]


def test_a_host_on_this_machine_reaches_engines_on_the_loopback() -> None:
    """Whatever its address is: a worker of another machine may listen on a loopback address, too."""
    here, elsewhere = host_view(is_here=True), host_view(address="tcp://127.0.0.1:41234")
    assert pointers(PLAN, elsewhere, engine_host="127.0.0.1") == ["/plan/placement"]
    check_hosts(PLAN, (here,), CLUSTER, None, "127.0.0.1")
    assert pointers(PLAN, here, host_view(name="b"), engine_host="127.0.0.1") == ["/plan/placement"]
    assert pointers(PLAN, here, engine_host="0.0.0.0") == ["/plan/placement"]


def test_there_are_at_most_as_many_shards_as_cpus_of_the_hosts() -> None:
    hosts = host_view(cores=2), host_view(name="b", cores=1)
    check_hosts(replace(PLAN, shards=3), hosts, CLUSTER, None, "10.0.0.4")
    assert pointers(replace(PLAN, shards=4), *hosts) == ["/plan/shards"]


def test_all_problems_are_reported_at_once() -> None:
    found = pointers(replace(PLAN, trace=True, shards=9), host_view(), engine_host="127.0.0.1")
    assert found == ["/plan/trace", "/plan/placement", "/plan/shards"]


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (None, f"No host of the cluster at {CLUSTER} generates load now."),
        ("No scheduler answers.", "No scheduler answers."),
    ],
)
def test_without_a_host_the_run_may_be_possible_later(problem: str | None, sentence: str) -> None:
    with pytest.raises(NotNow) as refused:
        check_hosts(PLAN, (), CLUSTER, problem, "10.0.0.4")
    assert (refused.value.detail, refused.value.problems) == (sentence, ())
