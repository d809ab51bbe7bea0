"""CPU scheduling: the control plane is SCHED_BATCH, engines are SCHED_OTHER, and a generator gets its CPU first."""

from __future__ import annotations

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

THINKING = plan(590, 0, vus=2, think_time_ms=50)  # a closed load
REALTIME = os.SCHED_RR | os.SCHED_RESET_ON_FORK


def slice_ns(pid: int) -> int | None:
    """The time slice of a process, where the kernel tells (CONFIG_SCHED_DEBUG)."""
    try:
        lines = Path(f"/proc/{pid}/sched").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split(":")[1]) for line in lines if line.startswith("se.slice")), None)


def scheduled(lab: LabProcess, plan: dict[str, Any]) -> tuple[int, dict[int, int], Any]:
    """The generator of a run of `prefork`, the policy of each of the lab's processes, and the run."""
    run = lab.submit(model="prefork", plan=plan)
    view = lab.measuring(run["id"])
    others = lab.others()
    assert len(others) >= 4, "the engine with its workers, and the generator"
    (generator,) = generators(others)
    return generator, {pid: os.sched_getscheduler(pid) for pid in others | {lab.pid}}, view


def test_a_closed_load_has_a_short_slice_and_nobody_else(lab: LabProcess) -> None:
    generator, policies, run = scheduled(lab, THINKING)
    assert policies.pop(lab.pid) == os.SCHED_BATCH
    assert set(policies.values()) == {os.SCHED_OTHER}
    assert run["placement"]["load_priority"] == "normal"
    slices = {pid: slice_ns(pid) for pid in policies}
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 12) or slices[generator] is None:
        pytest.skip("this kernel does not let a process choose its time slice, or does not tell it")
    assert (slices.pop(generator) == time_slice.SHORT_NS) == (run["placement"]["mode"] == "split")
    assert time_slice.SHORT_NS not in slices.values(), "the engine is what is measured, and is left as it is"


def test_an_open_load_has_real_time_priority_where_the_system_allows_it(lab: LabProcess) -> None:
    generator, policies, run = scheduled(lab, endless())
    allowed = lab.get("/system")["load_priority"] == "real-time" and run["placement"]["mode"] == "split"
    assert run["placement"]["load_priority"] == ("real-time" if allowed else "normal")
    assert policies.pop(generator) == (REALTIME if allowed else os.SCHED_OTHER)
    assert policies.pop(lab.pid) == os.SCHED_BATCH
    assert set(policies.values()) == {os.SCHED_OTHER}, "engines never have it"


def test_real_time_priority_can_be_switched_off(make_lab: LabMaker) -> None:
    lab = make_lab("--load-priority", "normal")
    assert lab.get("/system")["load_priority"] == "normal"
    generator, policies, run = scheduled(lab, endless())
    assert policies[generator] == os.SCHED_OTHER and run["placement"]["load_priority"] == "normal"
    lab.stop(run["id"])


def test_loads_beside_each_other_do_not_keep_the_cpu_from_each_other(lab: LabProcess) -> None:
    engines = [lab.start(model)["id"] for model in ("reactor", "reactor-pool")]
    assert lab.post("/runs", {"engines": engines, "plan": endless()}).status_code == 201
    runs = lab.get("/runs?limit=2")
    for run in runs:
        assert lab.reaches(run["id"], "running")["placement"]["load_priority"] == "normal"
    policies = until(
        lambda: [os.sched_getscheduler(pid) for pid in generators(lab.others())], "there are generators"
    )
    assert set(policies) == {os.SCHED_OTHER}


def refused(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_what_the_system_does_not_allow_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    assert not scheduling.allows_realtime()
    assert os.sched_getscheduler(0) == before


def test_a_limit_for_real_time_cpu_that_would_kill_a_busy_generator_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200_000, 200_000))
    asked: list[object] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *policy: asked.append(policy))
    assert not scheduling.allows_realtime()
    assert asked == []


def test_trying_it_leaves_the_policy_as_it_was() -> None:
    before = os.sched_getscheduler(0)
    scheduling.allows_realtime()
    assert os.sched_getscheduler(0) == before


def test_a_generator_that_was_promised_it_and_is_refused_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with pytest.raises(InvalidJob, match="real-time priority: Operation not permitted"):
        process_setup.set_priority(realtime=True)
