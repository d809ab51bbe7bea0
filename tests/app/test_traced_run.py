"""A traced run: shown and not ranked, with its system calls counted where there is a perf."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from .driver import LabMaker, LabProcess, command_line, plan, until

TRACED = plan(1.0, 0.2, trace=True, executor="constant-arrival-rate", rate_per_s=200)


def perf_works() -> bool:
    if shutil.which("perf") is None:
        return False
    asked = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return subprocess.run(asked, capture_output=True).returncode == 0


@pytest.mark.skipif(not perf_works(), reason="no perf here, or it is not allowed to count system calls")
def test_perf_counts_the_system_calls_of_a_traced_run(lab: LabProcess) -> None:
    run = lab.run(model="main-sub", plan=TRACED)
    # All I/O calls are system calls (but for those that straddle an edge), and the futexes of the hand-overs as well.
    assert run["ledger"]["syscalls"] > run["ledger"]["io_calls"] * 0.95
    assert not run["verdict"]["rankable"] and any("traced" in said for said in run["verdict"]["because"])
    until(lambda: not any("perf stat" in command_line(pid) for pid in lab.others()), "perf has ended")
    assert lab.run(model="reactor", plan=plan(0.5, 0))["ledger"]["syscalls"] is None


def test_without_perf_the_system_calls_are_not_known(make_lab: LabMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    run = make_lab().run(model="reactor", plan=TRACED)
    assert run["state"] == "finished" and run["ledger"]["syscalls"] is None
    assert not run["verdict"]["rankable"]
