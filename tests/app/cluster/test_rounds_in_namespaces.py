"""Whole rounds on other hosts, which are network namespaces of this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.cluster.members import Member, TlsCluster
from tests.app.cluster.network import Network, needs_namespaces
from tests.waiting import until

pytestmark = [needs_namespaces, pytest.mark.full]

SMALL = ("--executor", "constant-arrival-rate", "--rate", "100", "--vus", "4")
BRIEF = ("--duration", "0.5", "--warmup", "0.1")
TWO = ("compare", "reactor", "main-sub", *SMALL)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Two hosts and a hub, without processes."""
    network = Network(["a", "b"])
    yield network
    network.close()


def result(lab: Member) -> Any:
    """Return what a command has measured."""
    code = lab.wait_exit()
    assert lab.output, f"exit code {code}: {lab.errors}"
    found = json.loads(lab.output)
    return found.get("comparison", found) if isinstance(found, dict) else found


def assert_whole(comparison: Any, rounds: int) -> None:
    """Assert that each round has a trial of both entries; further rounds repeat void trials."""
    assert comparison["state"] == "finished", comparison["failure"]
    trials = [(trial["trial"], trial["entry"]) for trial in comparison["runs"]]
    numbers = {number for number, _ in trials}
    assert numbers >= set(range(1, rounds + 1))
    assert sorted(trials) == [(number, entry) for number in sorted(numbers) for entry in (0, 1)]
    assert sum(rounds_of(comparison).values()) == len(numbers)


def rounds_of(comparison: Any) -> dict[str, int]:
    return {host["name"]: host["rounds"] for host in comparison["hosts"]}


def test_a_comparison_is_measured_in_whole_rounds_by_all_hosts(cluster: TlsCluster) -> None:
    cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    found = result(cluster.lab(*TWO, *BRIEF, "--rounds", "6", "--json", "-"))
    assert_whole(found, rounds=6)
    assert rounds_of(found).keys() == {"a", "b"}
    assert found["host_notes"] == []
    for worker in (first, second):
        until(lambda worker=worker: len(worker.pids()) == 1, "only the worker is left", every_s=0.1)  # type: ignore[misc]


def test_a_round_that_is_lost_with_its_host_is_repeated_on_another_one(cluster: TlsCluster) -> None:
    cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab(*TWO, *BRIEF, "--rounds", "4", "--json", "-")
    until(second.shards, "the second host measures", every_s=0.02)
    second.signal(signal.SIGKILL)
    second.assert_nothing_left()
    found = result(lab)
    assert_whole(found, rounds=4)
    assert any("was lost with host b and repeated" in note for note in found["host_notes"])
    assert first.process.poll() is None


def test_rounds_that_have_ended_are_kept_when_the_scheduler_restarts(cluster: TlsCluster) -> None:
    scheduler = cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab(*TWO, *BRIEF, "--rounds", "5", "--json", "-")
    until(lambda: "round 1 of 5" in lab.errors, "the first round has ended", every_s=0.05)
    scheduler.signal(signal.SIGKILL)
    scheduler.assert_nothing_left()
    cluster.scheduler()
    for worker in (first, second):
        worker.wait_printed("Joined", times=2)
    found = result(lab)
    assert_whole(found, rounds=5)
    assert any("was lost" in note for note in found["host_notes"])


def test_a_stopped_or_killed_lab_leaves_nothing_on_its_hosts(cluster: TlsCluster) -> None:
    cluster.scheduler()
    workers = [cluster.joined("a"), cluster.joined("b")]
    for number in (signal.SIGINT, signal.SIGKILL):
        lab = cluster.lab(*TWO, "--duration", "300", "--warmup", "0", "--rounds", "2")
        for worker in workers:
            until(worker.shards, "each host measures", every_s=0.02)
        lab.signal(number)
        lab.wait_exit()
        for worker in workers:
            until(lambda worker=worker: len(worker.pids()) == 1, "only the worker is left", every_s=0.1)  # type: ignore[misc]


def test_the_answer_of_an_experiment_names_the_hosts_of_its_rounds(cluster: TlsCluster) -> None:
    cluster.scheduler()
    cluster.joined("a")
    cluster.joined("b")
    lab = cluster.lab("experiment", "blocking-thread-per-connection", "--quick", "--json", "-")
    found = result(lab)
    [experiment] = found if isinstance(found, list) else found["experiments"]
    assert experiment["state"] == "finished", experiment["failure"]
    assert {each["host"] for each in experiment["rounds"]} <= {"a", "b"}
    assert sum(host["rounds"] for host in experiment["hosts"]) == len(experiment["rounds"]) == 3
    assert experiment["answer"] in ("holds", "does_not_hold")
