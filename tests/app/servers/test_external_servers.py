"""External servers as engines of a running lab: start, samples, faults, and nothing that survives."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.driver import LabMaker, LabProcess, assert_problem, endless, light, until
from tests.app.servers.tiny_catalogue import write_catalogue


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """One lab with the servers of tiny.py."""
    folder = tmp_path_factory.mktemp("servers")
    os.environ["SOME_SECRET"] = "not for servers"
    try:
        flags = ("--servers", str(write_catalogue(folder)))
        with contextlib.closing(LabProcess(folder, *flags)) as lab:
            yield lab
    finally:
        del os.environ["SOME_SECRET"]


@pytest.fixture
def lab(shared: LabProcess) -> Iterator[LabProcess]:
    yield shared
    shared.clean_up()


def start(lab: LabProcess, server: str, **more: Any) -> Any:
    answer = lab.post("/engines", {"server": server, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def servers_of(lab: LabProcess) -> set[int]:
    """Return the processes of servers, without their guards."""
    return {pid for pid in lab.child_pids() if b"tiny.py" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_server_runs_with_an_environment_that_was_built_for_it(lab: LabProcess) -> None:
    engine = start(lab, "serve")
    assert (engine["state"], engine["server"], engine["model"]) == ("ready", "serve", "serve")
    environment = httpx.get(engine["url"]).json()
    assert environment.keys() <= {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV", "LC_CTYPE"),
        *("PYTHONUNBUFFERED", "WORK_CALIBRATION", "THREADLAB_SERVER", "THREADLAB_TEST_MARK"),
    }


def test_a_sample_has_threads_with_kernel_states_and_no_counts(lab: LabProcess) -> None:
    engine = start(lab, "fork")
    with socket.create_connection(("127.0.0.1", engine["port"])):
        sample = until(
            lambda: s if (s := lab.get(f"/engines/{engine['id']}/sample"))["connections_total"] else None,
            "the connection is counted",
            every_s=0.1,
        )
    roles = [
        (thread["role"], thread["state"]) for thread in sample["threads"] if thread["pid"] == thread["tid"]
    ]
    assert roles == [("master", "events"), ("worker", "sleep"), ("worker", "sleep")]
    unknown = ("requests", "errors", "requests_per_s", "io_calls", "queue_depth", "accept_pauses")
    assert {sample[name] for name in unknown} == {None} and sample["counters"] == {}


def test_a_run_of_an_external_server_has_a_verdict_and_says_what_it_cannot_know(lab: LabProcess) -> None:
    work = [{"kind": "http", "params": {"path": "/"}}]
    run = lab.run(model="serve", plan=light(1.0, work=work))
    assert (run["state"], run["server"], run["summary"]["requests"]) == ("finished", "serve", 100)
    assert run["ledger"]["cpu_us"] > 0 and run["ledger"]["io_calls"] is None
    assert [(each["role"], each["has_gil"]) for each in run["processes"]] == [("process", True)]
    (counts,) = (c for c in run["verdict"]["checks"] if c["what"].startswith("Server and client"))
    assert (counts["seen"], counts["ok"]) == ("not available", None)


@pytest.mark.parametrize(
    ("plan", "pointer"),
    [
        ({"trace": True, "work": [{"kind": "http", "params": {"path": "/"}}]}, "/plan/trace"),
        ({}, "/plan/work"),
    ],
)
def test_what_a_server_cannot_do_is_refused(lab: LabProcess, plan: dict[str, Any], pointer: str) -> None:
    assert_problem(lab.post("/runs", {"model": "serve", "plan": plan}), 422, pointer)


def test_a_hot_swap_of_servers_is_refused(lab: LabProcess) -> None:
    spec = {"model": "reactor", "then": [{"model": "serve"}], "plan": light()}
    assert_problem(lab.post("/runs", spec), 422, "/then")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("exits", "ended with exit code 3 while starting. first; second; no configuration"),
        ("daemon", "must stay in the foreground"),
    ],
)
def test_a_server_that_ends_at_the_start_says_why(lab: LabProcess, server: str, words: str) -> None:
    assert words in assert_problem(lab.post("/engines", {"server": server}), 502)
    assert not servers_of(lab)


def test_a_server_that_floods_stderr_starts_and_its_log_is_bounded(lab: LabProcess) -> None:
    engine = start(lab, "flood")
    assert engine["state"] == "ready"
    assert 0 < len(lab.get(f"/engines/{engine['id']}/log")) <= 200


def test_a_stopped_server_leaves_no_process(lab: LabProcess) -> None:
    engine = start(lab, "fork")
    assert len(servers_of(lab)) == 3
    ended = lab.http.delete(f"/api/v1/engines/{engine['id']}").json()
    assert (ended["state"], ended["exit"]["signal"]) == ("stopped", "SIGTERM")
    assert not servers_of(lab)


def test_a_server_that_ignores_the_stop_signal_is_killed(lab: LabProcess) -> None:
    engine = start(lab, "stubborn", knobs={"grace_s": 0})
    ended = lab.http.delete(f"/api/v1/engines/{engine['id']}").json()
    assert (ended["state"], ended["exit"]["signal"]) == ("stopped", "SIGKILL")
    assert "did not stop within 0 s" in ended["exit"]["stderr"][-1]
    assert not servers_of(lab)


def test_a_killed_server_is_reported_and_its_other_processes_end(lab: LabProcess) -> None:
    engine = start(lab, "fork")
    os.kill(engine["pid"], signal.SIGKILL)
    view = until(
        lambda: v if (v := lab.get(f"/engines/{engine['id']}"))["state"] == "exited" else None, "it has ended"
    )
    assert "ended unexpectedly by signal SIGKILL" in view["exit"]["reason"]
    assert not servers_of(lab)


def test_a_killed_guard_leaves_no_process(lab: LabProcess) -> None:
    engine = start(lab, "fork")
    (guard,) = (int(line.split()[1]) for line in status_lines(engine["pid"], "PPid"))
    os.kill(guard, signal.SIGKILL)
    until(lambda: not servers_of(lab), "all processes have ended")
    until(lambda: lab.get(f"/engines/{engine['id']}")["state"] == "exited", "the lab knows")


def status_lines(pid: int, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{name}:")]


def test_a_suspended_server_is_degraded_and_can_be_stopped(lab: LabProcess) -> None:
    engine = start(lab, "serve", knobs={"grace_s": 0})
    os.kill(engine["pid"], signal.SIGSTOP)
    until(lambda: lab.get(f"/engines/{engine['id']}")["state"] == "degraded", "the suspension is noticed")
    assert lab.http.delete(f"/api/v1/engines/{engine['id']}").json()["state"] == "stopped"
    assert not servers_of(lab)


def test_a_requested_port_that_is_taken_is_refused(lab: LabProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in assert_problem(lab.post("/engines", {"server": "serve", "port": port}), 409)


def test_unknown_servers_and_both_names_are_refused(lab: LabProcess) -> None:
    assert "gunicorn" in assert_problem(lab.post("/engines", {"server": "apache"}), 404)
    assert_problem(lab.post("/engines", {"server": "serve", "model": "reactor"}), 422, "/model")
    assert_problem(lab.post("/engines", {"model": "serve"}), 404)
    assert_problem(lab.post("/engines", {"server": "serve", "argv": ["sh"]}), 422, "/argv")


def test_a_killed_lab_leaves_no_process_of_a_server(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab("--servers", str(write_catalogue(tmp_path)))
    for server in ("serve", "fork", "stubborn"):
        start(lab, server)
    run = lab.submit(model="fork", plan=endless(work=[{"kind": "http", "params": {"path": "/"}}]))
    lab.wait_measuring(run["id"])
    assert len(servers_of(lab)) == 10
    lab.kill()
    until(lambda: not lab.child_pids(), "all processes have ended", every_s=0.05)
