"""How soon everything is gone that a control plane has started, when it is killed."""

from __future__ import annotations

import statistics
import time

from tests.app.driver import LabMaker, endless, until
from tests.measure.conftest import Report


def test_what_a_killed_control_plane_has_started_is_gone_in_two_seconds(
    make_lab: LabMaker, report: Report
) -> None:
    """Noise: the median of three labs counts, against a bound of ten times what it takes on a quiet machine."""
    took = []
    for _ in range(3):
        lab = make_lab()
        for model in ("blocking", "reactor-pool", "main-sub"):
            lab.start(model)
        run = lab.submit(model="reactor", plan=endless())
        lab.wait_measuring(run["id"])
        began = time.monotonic()
        lab.kill()
        until(lambda lab=lab: not lab.child_pids(), "every child is gone", every_s=0.02)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    report(f"{[round(each, 2) for each in took]} s")
    assert statistics.median(took) < 2.0
