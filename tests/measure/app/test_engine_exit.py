"""The time until the lab reports a killed engine as exited."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time

from tests.app.driver import LabProcess, until
from tests.measure.conftest import Report

ROUNDS = 5


def control_s() -> float:
    """Return the time that a killed process without a lab takes to exit."""
    with subprocess.Popen(
        [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(999)"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline()
        before = time.monotonic()
        process.kill()
        process.wait()
        return time.monotonic() - before


def test_a_killed_engine_is_reported_within_a_second(lab: LabProcess, report: Report) -> None:
    """Noise: the median of five counts. The control of each is the exit time of a killed process without a
    lab."""
    seconds, controls = [], []
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL)[:ROUNDS]:
        engine = lab.start("main-sub")
        controls.append(control_s())
        before = time.monotonic()
        os.kill(engine["pid"], number)
        until(lambda id=engine["id"]: lab.get(f"/engines/{id}")["state"] == "exited", "it has exited")  # type: ignore[misc]
        seconds.append(time.monotonic() - before)
    report(
        f"exited after {[f'{1000 * each:.0f}' for each in seconds]} ms, a process without a lab after "
        f"{[f'{1000 * each:.0f}' for each in controls]} ms"
    )
    assert statistics.median(seconds) < 1.0 + statistics.median(controls)
