"""The process: exit codes, signals, lifeline, CPUs and meter."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.load.protocol.meter import DONE, MEASURE
from tests.load.driver import (
    COMMAND,
    HELD_S,
    OPEN,
    ROOT,
    Running,
    ServerMaker,
    Starter,
    job_json,
    run_load,
    try_load,
    until,
)
from tests.waiting import BOUND_S, reserved_port


def test_sigterm_ends_early_with_an_outcome(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.005)
    load = start(server.port, duration_s=HELD_S)
    load.reach(MEASURE)
    load.complete(100)
    outcome = load.stop()
    assert outcome.stopped
    assert 0 < outcome.duration_s < HELD_S
    assert outcome.requests == outcome.sent >= 100
    assert outcome.requests <= server.requests <= outcome.requests + load.unanswered


def test_sigint_while_connecting_ends_with_an_outcome(start: Starter) -> None:
    with reserved_port() as port:
        load = start(port, duration_s=HELD_S, warmup_s=HELD_S)
        until(lambda: load.meter.read().errors > 0, "a refusal")
        load.process.send_signal(signal.SIGINT)
        outcome = load.outcome()
    assert outcome.stopped
    assert outcome.requests == 0


@pytest.mark.parametrize("plan", [{}, {"executor": OPEN, "rate_per_s": 100.0}], ids=["closed", "open"])
def test_a_complete_load_is_not_stopped(serve: ServerMaker, plan: dict[str, Any]) -> None:
    """A closed load ends with its last response, an open one exactly when its schedule does."""
    outcome = run_load(serve(delay_s=0.005).port, duration_s=0.2, **plan)
    assert not outcome.stopped
    assert outcome.duration_s == 0.2 if plan else outcome.duration_s >= 0.2
    assert (outcome.measured_to_ns - outcome.measured_from_ns) / 1e9 == outcome.duration_s


def test_the_end_of_the_lifeline_ends_the_process_without_an_outcome(
    serve: ServerMaker, start: Starter
) -> None:
    load = start(serve(delay_s=0.005).port, duration_s=HELD_S)
    load.reach(MEASURE)
    load.cut_lifeline()
    out, err = load.process.communicate(timeout=BOUND_S)
    assert load.process.returncode == 1
    assert out == ""
    assert "control plane has exited" in err


def test_a_fenced_shard_refuses_a_start_instant_that_has_passed(serve: ServerMaker) -> None:
    server = serve()
    with contextlib.closing(Running(server.port, {}, waits=True, fenced=True)) as load:
        load.start_at(time.monotonic_ns() - 1)
        out, err = load.process.communicate(timeout=BOUND_S)
        assert load.process.returncode == 2
    assert out == ""
    assert err.startswith("the start instant arrived ") and err.count("\n") == 1
    assert server.requests == 0


def test_another_shard_starts_late(serve: ServerMaker) -> None:
    """The others of this machine have started, and it has the same lifeline as they have."""
    plan = {"executor": OPEN, "rate_per_s": 100.0}
    with contextlib.closing(Running(serve().port, plan, waits=True)) as load:
        load.start_at(start_ns := time.monotonic_ns() - 1)
        outcome = load.outcome()
    assert (outcome.measured_from_ns, outcome.intended, outcome.requests) == (start_ns, 20, 20)


def test_the_process_dies_with_its_parent(serve: ServerMaker, tmp_path: Path) -> None:
    server = serve(delay_s=0.005)
    text = tmp_path / "job.json"
    text.write_text(job_json(server.port, {"duration_s": HELD_S}))
    parent = (
        "import signal, subprocess\n"
        f"child = subprocess.Popen({COMMAND!r}, stdin=open({str(text)!r}), cwd={str(ROOT)!r})\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            child = os.pidfd_open(int(process.stdout.readline()))
            until(lambda: server.requests > 10, "load")
        finally:
            process.kill()
    try:
        assert select.select([child], [], [], BOUND_S)[0], "the generator continues"
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)


def test_the_wrong_parent_is_refused() -> None:
    done = try_load(job_json(1, {}, parent_pid=os.getpid() + 1))
    assert done.returncode == 2
    assert "parent process ended" in done.stderr


def test_more_connections_than_descriptors_are_refused_before_any_is_opened(serve: ServerMaker) -> None:
    server = serve()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = try_load(job_json(server.port, {"vus": 10, "idle_connections": hard}))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"the limit is {hard}" in done.stderr
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be parsed"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "cpus": [4095]}', "CPUs"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "meter_fd": 0}', ""),
    ],
)
def test_a_process_that_refuses_a_job_exits_with_code_2(text: str, sentence: str) -> None:
    done = try_load(text)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_the_process_runs_on_the_cpus_of_its_job(serve: ServerMaker) -> None:
    cpu = max(os.sched_getaffinity(0))
    done = try_load(job_json(serve(delay_s=0.01).port, {}, cpus=[cpu]))
    assert done.returncode == 0, done.stderr


def test_the_meter_and_the_outcome_agree(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.005)
    load = start(server.port, executor=OPEN, rate_per_s=200.0, duration_s=0.6, warmup_s=0.1)
    load.reach(MEASURE)
    early = load.consistent_reading()
    load.complete(80)
    later = load.consistent_reading()
    grown = later - early
    assert grown.completed == sum(grown.service) == sum(grown.response)
    assert later.intended >= later.sent == later.completed + later.in_flight >= 80
    assert later.in_flight <= early.connections == 4
    assert early.started_ns < early.measured_from_ns <= early.at_ns <= later.at_ns
    outcome, last = load.outcome(), load.meter.read()
    assert last.phase == DONE
    assert last.completed == server.requests == last.sent == last.intended == 140
    assert sum(last.service) == sum(last.response) == 140
    assert (last.measured_from_ns, last.measured_to_ns) == (outcome.measured_from_ns, outcome.measured_to_ns)
    assert last.errors == last.in_flight == 0
