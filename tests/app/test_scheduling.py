"""The control plane is SCHED_BATCH, its children are SCHED_OTHER, and a generator has a short time slice."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.load import time_slice

from .driver import LabProcess, endless, generators


def slice_ns(pid: int) -> int | None:
    """The time slice of a process, where the kernel tells (CONFIG_SCHED_DEBUG)."""
    try:
        lines = Path(f"/proc/{pid}/sched").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split(":")[1]) for line in lines if line.startswith("se.slice")), None)


def test_only_the_control_plane_is_batch_and_only_the_generator_has_a_short_slice(lab: LabProcess) -> None:
    run = lab.submit(model="prefork", plan=endless())
    lab.measuring(run["id"])
    assert os.sched_getscheduler(lab.pid) == os.SCHED_BATCH
    others = lab.others()
    assert len(others) >= 4, "the engine with its workers, and the generator"
    assert {pid: os.sched_getscheduler(pid) for pid in others} == dict.fromkeys(others, os.SCHED_OTHER)
    (generator,) = generators(others)
    slices = {pid: slice_ns(pid) for pid in others}
    split = lab.stop(run["id"])["placement"]["mode"] == "split"
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 12) or slices[generator] is None:
        pytest.skip("this kernel does not let a process choose its time slice, or does not tell it")
    assert (slices.pop(generator) == time_slice.SHORT_NS) == split
    assert time_slice.SHORT_NS not in slices.values(), "the engine is what is measured, and is left as it is"
