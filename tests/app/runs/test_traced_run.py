"""A traced run: it is not ranked, and its system calls are counted if perf is available.

tests/measure/app/test_runs.py checks that there are at least as many system calls as I/O calls.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from app.lab import Lab
from app.machine import syscalls
from app.runs.request import RunRequest
from app.schemas.run import RunView
from tests.app.driver import command_line, endless, run_in_lab, until_async
from tests.waiting import BOUND_S


def perf_works() -> bool:
    if shutil.which("perf") is None:
        return False
    command = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return subprocess.run(command, capture_output=True).returncode == 0


async def traced_run(lab: Lab) -> RunView:
    """Return a traced run that was stopped after 40 requests."""
    run = await lab.runs.submit(RunRequest(model="main-sub", plan=endless(trace=True)))
    await until_async(lambda: lab.runs.get(run.id).state == "running", "the run is measured")
    (engine,) = lab.fleet.alive
    await until_async(
        lambda: engine.metrics_board and engine.metrics_board.read().requests >= 40, "40 requests were served"
    )
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def perf_pids() -> list[int]:
    """Return the process ids of all running `perf stat`."""
    return [
        int(path.name) for path in Path("/proc").glob("[0-9]*") if "perf stat" in command_line(int(path.name))
    ]


@pytest.mark.skipif(not perf_works(), reason="perf is not available or may not count system calls")
def test_perf_counts_the_system_calls_of_a_traced_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "ATTACH_TIMEOUT_S", BOUND_S)
    monkeypatch.setattr(syscalls, "RESULT_TIMEOUT_S", BOUND_S)
    before = set(perf_pids())

    async def play(lab: Lab) -> RunView:
        view = await traced_run(lab)
        await until_async(lambda: not set(perf_pids()) - before, "perf has ended")
        return view

    run = run_in_lab(tmp_path, play)
    assert run.ledger and run.ledger.syscalls and run.ledger.syscalls > 0
    assert run.verdict and not run.verdict.rankable and "Thread tracing was on" in str(run.verdict.why_not)


def test_without_perf_the_system_calls_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    run = run_in_lab(tmp_path, traced_run)
    assert run.ledger and run.ledger.cpu_us and run.ledger.syscalls is None
    assert run.verdict and not run.verdict.rankable and "Thread tracing was on" in str(run.verdict.why_not)
