"""A cluster on the loopback of this machine: one scheduler with one host, and a lab that uses it.

Each member asserts at the end of the module that SIGTERM leaves no process of it, and no traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.app.cluster.members import Member, threadlab
from tests.app.driver import Command, LabProcess, assert_problem, light, until

ON_HOSTS = light(placement="hosts", shards=2)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Member]:
    """A scheduler on a free port, with the host local-1, which has joined."""
    with closing(Member(threadlab("cluster", "up", "--listen", "tcp://127.0.0.1:0"))) as member:
        member.wait_printed("Joined")
        yield member


@pytest.fixture(scope="module")
def address(scheduler: Member) -> str:
    """The address that the scheduler has printed."""
    (line,) = (line for line in scheduler.output.splitlines() if line.startswith("Scheduler: "))
    return line.split()[1]


@pytest.fixture(scope="module")
def clustered(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab with this cluster, which knows the host."""
    with closing(LabProcess(tmp_path_factory.mktemp("lab"), "--cluster", address)) as lab:
        until(lambda: len(lab.get("/hosts")) == 2, "the lab knows the host", every_s=0.05)
        yield lab


def host_of(lab: LabProcess) -> Any:
    """Return the host that is not this machine."""
    return lab.get("/hosts")[1]


def counts(run: Any) -> list[int]:
    return [run["summary"][name] for name in ("intended", "sent", "requests", "failed", "dropped")]


def test_the_scheduler_prints_how_to_use_it(scheduler: Member, address: str) -> None:
    assert address.startswith("tcp://127.0.0.1:") and not address.endswith(":0")
    assert f"threadlab worker {address}\n" in scheduler.output
    assert f"threadlab serve --cluster {address}\n" in scheduler.output
    assert f"Joined {address} as local-1, for load and rounds.\n" in scheduler.output


def test_the_hosts_are_this_machine_and_the_one_that_has_joined(clustered: LabProcess) -> None:
    until(
        lambda: host_of(clustered)["state"] == "ready", "it has ended the work of other tests", every_s=0.05
    )
    here, joined = clustered.get("/hosts")
    assert here["address"] is None and here["roles"] == ["load", "rounds"]
    assert (joined["name"], joined["reason"]) == ("local-1", None)
    assert joined["address"].startswith("tcp://127.0.0.1:")
    same = ("cores", "cpu_model", "memory_bytes", "descriptor_limit", "python", "kernel", "version")
    assert [joined[name] for name in same] == [here[name] for name in same]
    assert abs(joined["clock_offset_us"]) <= joined["clock_error_us"], "both have the clock of this machine"
    assert joined["rtt_us"] > 0


def test_a_load_from_the_host_has_the_exact_counts(clustered: LabProcess) -> None:
    run = clustered.run(model="reactor", plan=ON_HOSTS)
    assert run["state"] == "finished", run["failure"]
    assert counts(run) == [50, 50, 50, 0, 0]
    placement = run["placement"]
    assert (placement["mode"], placement["engine_cpus"], placement["load_cpus"]) == ("hosts", None, None)
    (host,) = placement["hosts"]
    assert host["name"] == "local-1" and host["rtt_us"] > 0
    assert abs(host["clock_offset_us"]) <= host["clock_error_us"]
    assert any(note.startswith("The load came from local-1 (round trip ") for note in run["notes"])


def test_a_stopped_load_ends_on_the_host_and_keeps_what_was_measured(
    clustered: LabProcess, scheduler: Member
) -> None:
    plan = light(590, placement="hosts", shards=2)
    id = clustered.submit(model="reactor", plan=plan)["id"]
    until(lambda: len(scheduler.shards()) == 2, "both shards have had responses", every_s=0.02)
    work = ["load, process 1 of 2", "load, process 2 of 2"]
    until(lambda: sorted(host_of(clustered)["work"]) == work, "the lab knows what it does", every_s=0.05)
    assert host_of(clustered)["state"] == "working"
    run = clustered.stop(id)
    assert run["state"] == "stopped" and run["summary"]["requests"] > 0
    until(lambda: len(scheduler.pids()) == 1, "only the scheduler is left", every_s=0.02)


def test_the_metrics_have_the_host_and_not_this_machine(clustered: LabProcess) -> None:
    text = clustered.http.get("/metrics").text
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("threadlab_host_"))
    assert found['threadlab_host_usable{host="local-1"}'] == "1.0"
    assert float(found['threadlab_host_round_trip_seconds{host="local-1"}']) > 0
    names = {key.partition("{")[0] for key in found}
    assert len(found) == len(names) == 4, "one host"


def test_the_command_line_lists_the_host(address: str, command: Command) -> None:
    done = command("hosts", "--cluster", address)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("local-1"))
    assert row.split()[1:4] == ["ready", "load,", "rounds"]


def test_a_second_host_of_the_same_name_is_refused(address: str) -> None:
    with closing(Member(threadlab("worker", address, "--name", "local-1"))) as member:
        assert member.wait_exit() != 0
        assert "local-1 is the name of another host" in member.errors


def test_a_plan_that_hosts_cannot_carry_out_is_refused(clustered: LabProcess) -> None:
    cores = host_of(clustered)["cores"]
    answer = clustered.post("/runs", {"model": "reactor", "plan": {**ON_HOSTS, "trace": True}})
    assert_problem(answer, 422, "/plan/trace")
    answer = clustered.post("/runs", {"model": "reactor", "plan": {**ON_HOSTS, "shards": cores + 1}})
    assert_problem(answer, 422, "/plan/shards")


def test_without_a_cluster_the_placement_is_refused(lab: LabProcess) -> None:
    answer = lab.post("/runs", {"model": "reactor", "plan": ON_HOSTS})
    assert "--cluster" in assert_problem(answer, 422, "/plan/placement")
