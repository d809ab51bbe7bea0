"""Load from other hosts, which are network namespaces of this machine: counts, faults, and what remains."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cluster.certificates import make_certificates
from tests.app.cluster.listening import listeners
from tests.app.cluster.members import Member, TlsCluster, python_module
from tests.app.cluster.network import Network, needs_namespaces
from tests.test_imports import ROOT
from tests.waiting import until

pytestmark = needs_namespaces

OPEN = ("--executor", "constant-arrival-rate", "--rate", "400", "--vus", "8")
ON_HOSTS = ("--placement", "hosts")
BRIEF = ("--duration", "1", "--warmup", "0.3")
LONG = ("--duration", "300", "--warmup", "0")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Three hosts and a hub, without processes."""
    network = Network(["a", "b", "c"])
    yield network
    network.close()


def counts(run: Any) -> list[int]:
    summary = run["summary"]
    return [summary[name] for name in ("intended", "sent", "requests", "failed", "dropped")]


def wait_loaded(*workers: Member) -> None:
    """Wait until each of these hosts has had responses."""
    for worker in workers:
        until(worker.shards, "a shard on the host has had responses", every_s=0.02)


def test_two_shards_on_hosts_count_as_two_shards_here(cluster: TlsCluster) -> None:
    """One host has a clock that is 3 s ahead."""
    cluster.scheduler()
    worker = cluster.joined("a")
    assert [each.partition(":")[0] for each in listeners(worker.process.pid)] == ["0B004D0A"], (
        "10.77.0.11 only"
    )
    cluster.joined("b", before=["unshare", "--time", "--monotonic", "3", "--fork"])
    away = cluster.run("reactor", *OPEN, *BRIEF, *ON_HOSTS, "--shards", "2")
    here = cluster.run("reactor", *OPEN, *BRIEF, "--placement", "shared", "--shards", "2")
    assert counts(away) == counts(here) == [400, 400, 400, 0, 0]
    assert away["verdict"]["name"] != "degraded", away["verdict"]
    a, b = away["placement"]["hosts"]
    assert (a["name"], b["name"]) == ("a", "b")
    assert abs(a["clock_offset_us"]) <= a["clock_error_us"]
    assert abs(b["clock_offset_us"] - 3e6) <= b["clock_error_us"]
    assert a["rtt_us"] > 0
    assert any("a (round trip" in note and "b (round trip" in note for note in away["notes"])


@pytest.mark.full
def test_the_merged_histogram_is_that_of_all_samples(cluster: TlsCluster) -> None:
    cluster.scheduler()
    cluster.joined("a")
    cluster.joined("b")
    command = python_module("tests.app.cluster.exact_merge")
    variables = {"THREADLAB_CLUSTER": cluster.address, "THREADLAB_CLUSTER_CERTS": str(cluster.certificates)}
    member = cluster.member("hub", command, **variables)
    assert member.wait_exit() == 0, member.errors
    found = json.loads(member.output)
    assert found["samples"] == found["requests"] == 400
    assert found["merged"] == found["of_samples"]


@pytest.mark.full
def test_a_killed_worker_makes_the_run_degraded_and_keeps_what_others_measured(cluster: TlsCluster) -> None:
    cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab("run", "reactor", *OPEN, *LONG, *ON_HOSTS, "--shards", "2", "--json", "-")
    wait_loaded(first, second)
    second.signal(signal.SIGKILL)
    second.assert_nothing_left()
    until(lambda: "b" not in hosts_of(cluster), "the lab knows that the host is lost", every_s=0.2)
    lab.signal(signal.SIGINT)
    run = cluster.result(lab)
    assert run["verdict"]["name"] == "degraded"
    assert "1 of 2 load-generator processes on b was lost" in run["verdict"]["because"][0]
    assert run["summary"]["requests"] > 0


def hosts_of(cluster: TlsCluster) -> list[str]:
    """Return the names of the hosts that another lab sees."""
    lab = cluster.lab("hosts", "--json")
    lab.wait_exit()
    return [host["name"] for host in json.loads(lab.output)[1:] if host["state"] != "lost"]


@pytest.mark.full
def test_a_cut_link_makes_the_run_degraded_and_ends_the_load_on_that_host(cluster: TlsCluster) -> None:
    cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab("run", "reactor", *OPEN, *LONG, *ON_HOSTS, "--shards", "2", "--json", "-")
    wait_loaded(first, second)
    cluster.network.set_link("b", "down")
    try:
        until(lambda: not second.shards(), "the host has ended its shard", every_s=0.1)
        lab.signal(signal.SIGINT)
        run = cluster.result(lab)
    finally:
        cluster.network.set_link("b", "up")
    assert run["verdict"]["name"] == "degraded"
    assert "on b was lost" in run["verdict"]["because"][0]
    assert run["summary"]["requests"] > 0
    until(lambda: "b" in hosts_of(cluster), "the host can be used again", every_s=0.2)


@pytest.mark.full
def test_a_killed_lab_leaves_no_load_on_its_hosts(cluster: TlsCluster) -> None:
    cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab("run", "reactor", *OPEN, *LONG, *ON_HOSTS, "--shards", "2")
    wait_loaded(first, second)
    lab.signal(signal.SIGKILL)
    lab.assert_nothing_left()
    for worker in (first, second):
        until(lambda worker=worker: len(worker.pids()) == 1, "only the worker is left", every_s=0.1)  # type: ignore[misc]
    run = cluster.run("reactor", *OPEN, *BRIEF, *ON_HOSTS, "--shards", "2")
    assert counts(run) == [400, 400, 400, 0, 0]


@pytest.mark.full
def test_a_killed_scheduler_ends_the_load_and_workers_join_the_next_one(cluster: TlsCluster) -> None:
    scheduler = cluster.scheduler()
    first, second = cluster.joined("a"), cluster.joined("b")
    lab = cluster.lab("run", "reactor", *OPEN, *LONG, *ON_HOSTS, "--shards", "2", "--json", "-")
    wait_loaded(first, second)
    scheduler.signal(signal.SIGKILL)
    scheduler.assert_nothing_left()
    run = cluster.result(lab)
    assert run["state"] == "failed"
    assert "was lost" in run["failure"]
    for worker in (first, second):
        until(lambda worker=worker: len(worker.pids()) == 1, "only the worker is left", every_s=0.1)  # type: ignore[misc]
    cluster.scheduler()
    for worker in (first, second):
        worker.wait_printed("Joined", times=2)
    again = cluster.run("reactor", *OPEN, *BRIEF, *ON_HOSTS, "--shards", "2")
    assert counts(again) == [400, 400, 400, 0, 0]


@pytest.mark.full
def test_a_worker_of_another_version_is_refused_with_a_sentence(cluster: TlsCluster) -> None:
    other = cluster.certificates.parent / "other"
    for folder in ("app", "engines"):
        shutil.copytree(ROOT / folder, other / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "app" / "paths.py").open("a") as file:
        file.write("# another version\n")
    cluster.scheduler()
    worker = cluster.member(
        "a",
        python_module("app.cli.main", "worker", cluster.address, "--certs", str(cluster.certificates)),
        PYTHONPATH=str(other),
        PYTHONSAFEPATH="1",
    )
    assert worker.wait_exit() != 0
    assert "other sources of threadlab" in worker.errors
    assert worker.errors.count("\n") == 1


@pytest.mark.full
def test_a_host_needs_a_certificate_of_the_authority(cluster: TlsCluster) -> None:
    cluster.scheduler()
    strange = cluster.certificates.parent / "strange"
    make_certificates(strange)
    none = cluster.certificates.parent / "none"
    worker = cluster.worker("a", "--certs", str(none))
    assert worker.wait_exit() != 0
    assert f"{none}/ca.pem cannot be read" in worker.errors
    worker = cluster.worker("a", "--certs", str(strange))
    assert worker.wait_exit() != 0
    assert f"is not from the authority in {strange}" in worker.errors
    # It trusts the scheduler, and the scheduler does not trust it.
    shutil.copy(cluster.certificates / "ca.pem", strange / "ca.pem")
    worker = cluster.worker("a", "--certs", str(strange))
    assert worker.wait_exit() != 0
    assert "refused the certificate of this host" in worker.errors


@pytest.mark.full
def test_a_delay_of_the_path_is_in_the_round_trip_and_the_response_times(tmp_path: Path) -> None:
    network = Network(["far"])
    try:
        network.delay("far", 20)
        cluster = TlsCluster(network, tmp_path)
        try:
            cluster.scheduler()
            cluster.joined("far")
            run = cluster.run("reactor", *OPEN, *BRIEF, *ON_HOSTS)
        finally:
            cluster.close()
    finally:
        network.close()
    (host,) = run["placement"]["hosts"]
    assert host["rtt_us"] >= 20_000
    assert run["summary"]["latency"]["service"]["p50_us"] >= 20_000
    assert any(note.startswith("Network delay: ") for note in run["notes"])


@pytest.mark.full
def test_a_host_loads_only_the_addresses_that_its_operator_allows(cluster: TlsCluster) -> None:
    cluster.scheduler()
    cluster.joined("a", "--targets", "10.99.0.0/16")
    run = cluster.run("reactor", *OPEN, *BRIEF, *ON_HOSTS)
    assert run["state"] == "failed"
    assert "10.77.0.1 is not among the addresses that this host may load" in run["failure"]


@pytest.mark.full
def test_two_hosts_of_one_name_are_refused(cluster: TlsCluster) -> None:
    cluster.scheduler()
    cluster.joined("a")
    second = cluster.worker("b", "--name", "a")
    assert second.wait_exit() != 0
    assert "a is the name of another host" in second.errors
