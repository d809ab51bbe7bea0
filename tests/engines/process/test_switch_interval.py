"""The knob `switch_interval_us` is applied in the engine's process, and in each that it forks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engines.common.contract import COMMON_KNOBS
from tests.engines.driver import PATIENCE_S, ROOT

SHOW = """
import os, sys
from types import SimpleNamespace
from engines import prefork
from engines.common.calibration import Calibration
from engines.common.process.lifecycle import LaunchOptions, run

def show(who):
    os.write(1, f"{who} {sys.getswitchinterval() * 1e6:.3f}\\n".encode())

def run_worker(listener, setup, row):
    show("worker")
    setup.ready()

def serve(listener, setup):
    show("engine")
    prefork.WorkerProcesses(setup, lambda setup, row: run_worker(listener, setup, row)).stop()

module = SimpleNamespace(MODEL=prefork.MODEL, serve=serve)
run(module, LaunchOptions({"processes": 2, **eval(sys.argv[1])}, calibration=Calibration(1.0, 1.0)))
"""


@pytest.mark.parametrize("us", [None, 10, 251, 1_000_000])
def test_every_process_has_the_switch_interval_of_the_knob(us: int | None) -> None:
    knobs = {} if us is None else {"switch_interval_us": us}
    shown = subprocess.run(
        [sys.executable, "-c", SHOW, repr(knobs)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert shown.stderr == ""
    assert sorted(shown.stdout.split("\n")) == ["", *(f"{who} {us or 5000}.000" for who in WHO)]


WHO = ("engine", "worker", "worker")


def test_the_default_is_that_of_cpython() -> None:
    (knob,) = [knob for knob in COMMON_KNOBS if knob.name == "switch_interval_us"]
    default = subprocess.run(
        [sys.executable, "-c", "import sys; print(round(sys.getswitchinterval() * 1e6))"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert knob.default == int(default.stdout)
