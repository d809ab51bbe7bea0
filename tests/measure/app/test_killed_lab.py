"""The time until all processes of a killed control plane have exited."""

from __future__ import annotations

import statistics
import time

from tests.app.driver import LabMaker, endless, until
from tests.measure.conftest import Report


def test_the_children_of_a_killed_control_plane_exit_within_two_seconds(
    make_lab: LabMaker, report: Report
) -> None:
    """Noise: the median of three labs counts, and the limit is ten times the time on a quiet machine."""
    seconds = []
    for _ in range(3):
        lab = make_lab()
        for model in ("blocking", "reactor-pool", "main-sub"):
            lab.start(model)
        run = lab.submit(model="reactor", plan=endless())
        lab.wait_measuring(run["id"])
        began = time.monotonic()
        lab.kill()
        until(lambda lab=lab: not lab.child_pids(), "every child has exited", every_s=0.02)  # type: ignore[misc]
        seconds.append(time.monotonic() - began)
    report(f"{[round(each, 2) for each in seconds]} s")
    assert statistics.median(seconds) < 2.0
