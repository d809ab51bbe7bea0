"""The process itself: orders it refuses, signals, its life-line, its meter."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.load.meter import DONE, MEASURE

from .driver import COMMAND, ROOT, ServerMaker, Starter, order, run_load, try_load, until

pytestmark = pytest.mark.alone


def test_sigterm_ends_early_with_an_outcome(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.005)
    load = start(server.port, duration_s=60.0)
    load.reach(MEASURE)
    until(lambda: load.meter.read().completed > 100, "answers")
    load.process.send_signal(signal.SIGTERM)
    outcome = load.outcome()
    assert outcome.stopped
    assert 0 < outcome.duration_s < 20
    assert outcome.requests == outcome.sent == server.requests


def test_sigint_while_connecting_ends_with_an_outcome(start: Starter) -> None:
    load = start(1, duration_s=60.0, warmup_s=60.0)  # nobody listens on port 1
    until(lambda: load.meter.read().errors > 0, "a refusal")
    load.process.send_signal(signal.SIGINT)
    outcome = load.outcome()
    assert outcome.stopped
    assert outcome.requests == 0


def test_a_whole_run_is_not_stopped(serve: ServerMaker) -> None:
    outcome = run_load(serve(delay_s=0.005).port)
    assert not outcome.stopped
    assert outcome.duration_s == pytest.approx(0.5, abs=0.06)
    assert outcome.measured_to_ns - outcome.measured_from_ns == pytest.approx(outcome.duration_s * 1e9)


def test_the_end_of_the_lifeline_ends_it_at_once(serve: ServerMaker, start: Starter) -> None:
    load = start(serve(delay_s=0.005).port, duration_s=60.0)
    load.reach(MEASURE)
    load.cut_lifeline()
    out, err = load.process.communicate(timeout=5)
    assert load.process.returncode == 1
    assert out == ""
    assert "control plane is gone" in err


def test_it_dies_with_its_parent(serve: ServerMaker, tmp_path: Path) -> None:
    server = serve(delay_s=0.005)
    text = tmp_path / "order.json"
    text.write_text(order(server.port, {"duration_s": 60.0}))
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({COMMAND!r}, stdin=open({str(text)!r}), cwd={str(ROOT)!r})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        until(lambda: server.requests > 10, "load")
        process.kill()
    until(lambda: not _alive(child), "the end of the generator")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_wrong_parent_is_refused() -> None:
    done = try_load(order(1, {}, parent_pid=os.getpid() + 1))
    assert done.returncode == 2
    assert "parent ended" in done.stderr


def test_more_connections_than_descriptors_are_refused_before_any_is_opened(serve: ServerMaker) -> None:
    server = serve()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = try_load(order(server.port, {"vus": 10, "idle_connections": hard}))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"the limit is {hard}" in done.stderr
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read"),
        ('{"port": 1, "plan": {}}', "cannot be read"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"vux": 1}}', "vux"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "colour": 1}', "colour"),
        ('{"host": "192.0.2.1", "port": 1, "plan": {}}', "not a loopback"),
        ('{"host": "localhost", "port": 1, "plan": {}}', "not an IP address"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "constant-arrival-rate"}}', "rate_per_s"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "find-capacity"}}', "find-capacity"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"vus": 0}}', "vus"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "ramping-vus"}}', "stages"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"churn": true, "pipeline": 2}}', "pipeline"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "shards": 2}', "life-line"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"vus": 1}, "shard": 1, "shards": 2, "lifeline_fd": 0}', "too few"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "cpus": [4095]}', "CPUs"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "meter_fd": 0}', ""),
    ],
)
def test_a_bad_order_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    done = try_load(text)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_it_runs_on_the_cpus_it_is_given(serve: ServerMaker, start: Starter) -> None:
    cpu = max(os.sched_getaffinity(0))
    done = try_load(order(serve(delay_s=0.01).port, {}, cpus=[cpu]))
    assert done.returncode == 0, done.stderr


def test_the_meter_tells_the_truth_while_it_runs_and_after(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.005)
    load = start(server.port, executor="constant-arrival-rate", rate_per_s=200.0, duration_s=1.5, warmup_s=0.3)
    load.reach(MEASURE)
    early = load.meter.read()
    until(lambda: load.meter.read().completed >= early.completed + 100, "a hundred answers")
    grown = load.meter.read() - early
    assert grown.completed == sum(grown.service) == sum(grown.response)
    assert grown.intended == pytest.approx(grown.sent, abs=4)
    assert grown.at_ns > 0
    assert early.started_ns < early.measured_from_ns <= early.at_ns
    assert early.connections == 4
    outcome, last = load.outcome(), load.meter.read()
    assert last.phase == DONE
    assert last.completed == server.requests == last.sent == last.intended
    assert (last.measured_from_ns, last.measured_to_ns) == (outcome.measured_from_ns, outcome.measured_to_ns)
    assert last.errors == last.in_flight == 0
