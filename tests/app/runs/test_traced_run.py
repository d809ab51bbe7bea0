"""A traced run: shown and not ranked, with its system calls counted if there is a perf.

That they are at least its I/O calls is in tests/measure/app/test_runs.py.
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
    asked = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return subprocess.run(asked, capture_output=True).returncode == 0


async def traced(lab: Lab) -> RunView:
    """A traced run in which the lab has seen some requests; stopped then."""
    run = await lab.runs.submit(RunRequest(model="main-sub", plan=endless(trace=True)))
    await until_async(lambda: lab.runs.get(run.id).state == "running", "it is measured")
    (engine,) = lab.fleet.alive
    await until_async(
        lambda: engine.board and engine.board.read().requests >= 40, "some requests are answered"
    )
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def perfs() -> list[int]:
    return [
        int(path.name) for path in Path("/proc").glob("[0-9]*") if "perf stat" in command_line(int(path.name))
    ]


@pytest.mark.skipif(not perf_works(), reason="no perf here, or it is not allowed to count system calls")
def test_perf_counts_the_system_calls_of_a_traced_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "ATTACH_TIMEOUT_S", BOUND_S)
    monkeypatch.setattr(syscalls, "RESULT_TIMEOUT_S", BOUND_S)
    before = set(perfs())

    async def play(lab: Lab) -> RunView:
        view = await traced(lab)
        await until_async(lambda: not set(perfs()) - before, "perf has ended")
        return view

    run = run_in_lab(tmp_path, play)
    assert run.ledger and run.ledger.syscalls and run.ledger.syscalls > 0
    assert run.verdict and not run.verdict.rankable and "Thread tracing was on" in str(run.verdict.why_not)


def test_without_perf_the_system_calls_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    run = run_in_lab(tmp_path, traced)
    assert run.ledger and run.ledger.cpu_us and run.ledger.syscalls is None
    assert run.verdict and not run.verdict.rankable and "Thread tracing was on" in str(run.verdict.why_not)
