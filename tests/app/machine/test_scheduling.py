"""CPU scheduling of the control plane (SCHED_BATCH), the engines (SCHED_OTHER) and the load generator."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from app.load import process_setup, time_slice
from app.load.protocol.shard_job import InvalidJob
from app.machine import scheduling
from tests.app.driver import LabMaker, LabProcess, endless, generators, plan, until

CLOSED_LOOP = plan(590, 0, vus=2, think_time_ms=50)  # with think time, so that no CPU is saturated
REALTIME = os.SCHED_RR | os.SCHED_RESET_ON_FORK


def slice_ns(pid: int) -> int | None:
    """Return the time slice of a process; None unless the kernel shows it (CONFIG_SCHED_DEBUG)."""
    try:
        lines = Path(f"/proc/{pid}/sched").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split(":")[1]) for line in lines if line.startswith("se.slice")), None)


def run_and_read_policies(lab: LabProcess, plan: dict[str, Any]) -> tuple[int, dict[int, int], Any]:
    """Start a run of `prefork`; return the generator's pid, each process's policy by pid, and the run."""
    run = lab.submit(model="prefork", plan=plan)
    view = lab.wait_measuring(run["id"])
    others = lab.child_pids()
    assert len(others) >= 4, "the engine with its workers, and the generator"
    (generator,) = generators(others)
    return generator, {pid: os.sched_getscheduler(pid) for pid in others | {lab.pid}}, view


def test_only_the_generator_of_a_closed_load_has_a_short_time_slice(lab: LabProcess) -> None:
    generator, policies, run = run_and_read_policies(lab, CLOSED_LOOP)
    assert policies.pop(lab.pid) == os.SCHED_BATCH
    assert set(policies.values()) == {os.SCHED_OTHER}
    assert run["placement"]["load_priority"] == "normal"
    slices = {pid: slice_ns(pid) for pid in policies}
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 12) or slices[generator] is None:
        pytest.skip("this kernel does not allow a process to choose its time slice, or does not show it")
    assert (slices.pop(generator) == time_slice.SHORT_NS) == (run["placement"]["mode"] == "split")
    assert time_slice.SHORT_NS not in slices.values(), "the engine keeps the default time slice"


def policies_of_threads(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


def test_the_control_plane_has_the_batch_policy_only_while_a_run_is_measured(lab: LabProcess) -> None:
    assert lab.http.get("/runs").status_code == 200  # so that there are several threads
    assert policies_of_threads(lab.pid) == {os.SCHED_OTHER}
    run = lab.submit(model="reactor", plan=endless())
    lab.wait_measuring(run["id"])
    assert policies_of_threads(lab.pid) == {os.SCHED_BATCH}
    lab.stop(run["id"])
    until(lambda: policies_of_threads(lab.pid) == {os.SCHED_OTHER}, "the run has ended")


def test_the_control_plane_keeps_its_policy_in_a_run_whose_server_it_must_pause_in_time(
    lab: LabProcess,
) -> None:
    run = lab.submit(model="reactor", plan=endless(stall_ms=100))
    lab.wait_measuring(run["id"])
    assert policies_of_threads(lab.pid) == {os.SCHED_OTHER}
    lab.stop(run["id"])


def test_the_batch_policy_lasts_until_the_last_of_several_runs_is_measured() -> None:
    seen = []
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        for stack in (first, second):
            stack.enter_context(scheduling.batch_policy)
        for stack in (first, second):
            seen.append(os.sched_getscheduler(0))
            stack.close()
        seen.append(os.sched_getscheduler(0))
    assert seen == [os.SCHED_BATCH, os.SCHED_BATCH, os.SCHED_OTHER]


class Clock:
    """A clock that only yields and the test advance."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.yield_takes_s = 0.0
        self.yields = 0

    def monotonic(self) -> float:
        return self.now_s

    def sched_yield(self) -> None:
        self.yields += 1
        self.now_s += self.yield_takes_s


def test_it_yields_only_in_a_block_and_not_for_a_second_after_a_long_yield(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, policy = Clock(), scheduling.BatchPolicy()
    monkeypatch.setattr(scheduling, "time", clock)
    monkeypatch.setattr(os, "sched_yield", clock.sched_yield)
    policy.yield_cpu()
    assert clock.yields == 0
    with policy:
        for yields, clock.yield_takes_s, later_s in (
            (1, 0.001, 0.0),
            (2, 0.06, 0.9),
            (2, 0.0, 0.2),
            (3, 0.0, 0.0),
        ):
            policy.yield_cpu()
            assert clock.yields == yields
            clock.now_s += later_s


def test_a_policy_that_the_operator_has_chosen_stays() -> None:
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        with scheduling.batch_policy:
            pass
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_an_open_load_has_real_time_priority_where_the_system_allows_it(lab: LabProcess) -> None:
    generator, policies, run = run_and_read_policies(lab, endless())
    allowed = lab.get("/system")["load_priority"] == "real-time" and run["placement"]["mode"] == "split"
    assert run["placement"]["load_priority"] == ("real-time" if allowed else "normal")
    assert policies.pop(generator) == (REALTIME if allowed else os.SCHED_OTHER)
    assert policies.pop(lab.pid) == os.SCHED_BATCH
    assert set(policies.values()) == {os.SCHED_OTHER}, "engines never have it"


def test_real_time_priority_can_be_switched_off(make_lab: LabMaker) -> None:
    lab = make_lab("--load-priority", "normal")
    assert lab.get("/system")["load_priority"] == "normal"
    generator, policies, run = run_and_read_policies(lab, endless())
    assert policies[generator] == os.SCHED_OTHER and run["placement"]["load_priority"] == "normal"
    lab.stop(run["id"])


def test_generators_of_concurrent_runs_have_normal_priority(lab: LabProcess) -> None:
    engines = [lab.start(model)["id"] for model in ("reactor", "reactor-pool")]
    assert lab.post("/runs", {"engines": engines, "plan": endless()}).status_code == 201
    runs = lab.get("/runs?limit=2")
    for run in runs:
        assert lab.wait_state(run["id"], "running")["placement"]["load_priority"] == "normal"
    policies = until(
        lambda: [os.sched_getscheduler(pid) for pid in generators(lab.child_pids())],
        "the generators have started",
    )
    assert set(policies) == {os.SCHED_OTHER}


def refused(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_real_time_priority_is_not_used_where_the_system_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    assert not scheduling.allows_realtime()
    assert os.sched_getscheduler(0) == before


def test_real_time_priority_is_not_used_under_a_limit_of_real_time_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200_000, 200_000))
    attempts: list[object] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *policy: attempts.append(policy))
    assert not scheduling.allows_realtime()
    assert attempts == []


def test_the_probe_for_real_time_priority_restores_the_policy() -> None:
    before = os.sched_getscheduler(0)
    scheduling.allows_realtime()
    assert os.sched_getscheduler(0) == before


def test_a_generator_reports_that_real_time_priority_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with pytest.raises(InvalidJob, match="real-time priority: Operation not permitted"):
        process_setup.set_priority(realtime=True)
