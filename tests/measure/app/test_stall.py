"""A deliberate stall: response times show it as the schedule predicts, service times hide it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.app.driver import LabProcess, plan
from tests.measure.conftest import Report

OPEN = "constant-arrival-rate"
RATE, STALL_MS = 500, 600


def curve_of(lab: LabProcess, run: Any, clock: str) -> dict[float, float]:
    """Quantile → µs."""
    return dict(lab.get(f"/runs/{run['id']}/percentiles")[clock])


def stalled_ms(run: Any) -> float:
    """Return how long the engine was stopped, from the note of the run."""
    found = next(
        match for note in run["notes"] if (match := re.match(r"The server was paused for ([\d.]+) ms", note))
    )
    return float(found[1])


def test_response_times_show_a_stall_and_service_times_hide_it(lab: LabProcess, report: Report) -> None:
    """The stall is in the response times and not in the service times.

    Requests due at its beginning wait for all of it, requests due at its end not at all: the waiting times
    fall linearly from 600 ms to 0. So 15 % of the requests wait, a third of them (5 % of all) for more than
    400 ms.

    Noise: the expected values follow from the actual length of the stall, which the lab measures. The maximum
    of a control run without a stall is added to each tolerance.
    """
    load = {"executor": OPEN, "rate_per_s": RATE, "timeout_s": 5}
    control = lab.run(model="reactor", plan=plan(2.0, 0.2, **load))
    run = lab.run(model="reactor", plan=plan(4.0, 0.2, stall_ms=STALL_MS, **load))
    noise_ms = control["summary"]["latency"]["response"]["max_us"] / 1000
    summary, real_ms = run["summary"], stalled_ms(run)
    response, service = curve_of(lab, run, "response"), curve_of(lab, run, "service")
    at_95 = response[0.95] / 1000
    longest = summary["latency"]["response"]["max_us"] / 1000
    report(
        f"stalled {real_ms:.0f} ms, p95 {at_95:.0f} ms, max {longest:.0f} ms, service p99 "
        f"{service[0.99] / 1000:.1f} ms, max without a stall {noise_ms:.1f} ms"
    )
    assert summary["requests"] == 4 * RATE and not run["verdict"]["rankable"]
    waited = (0.15 - 0.05) / 0.15  # of the stall, at the 95th percentile
    assert at_95 == pytest.approx(real_ms * waited, abs=0.1 * real_ms + noise_ms)
    assert longest == pytest.approx(real_ms, abs=0.05 * real_ms + noise_ms)
    # Only the eight requests in flight show the stall in their service time.
    assert service[0.99] / 1000 < real_ms / 2 + noise_ms
    (mark,) = [mark for mark in run["marks"] if "server paused" in mark["text"]]
    assert mark["t_s"] == pytest.approx(0.2 + 2.0 - STALL_MS / 2000, abs=0.1 + noise_ms / 1000)


def test_a_closed_load_notes_that_few_requests_show_a_stall(lab: LabProcess, report: Report) -> None:
    """Noise: the longest response is compared with the actual length of the stall, which the lab measures,
    and with the longest of a control run without a stall. Noise can only lengthen a response."""
    control = lab.run(model="prefork", plan=plan(1.0, 0))
    run = lab.run(model="prefork", plan=plan(1.0, 0, stall_ms=300))
    longest, without = (each["summary"]["latency"]["response"]["max_us"] / 1000 for each in (run, control))
    report(f"stalled {stalled_ms(run):.0f} ms, longest {longest:.0f} ms, without a stall {without:.0f} ms")
    assert any("at most 8 requests show the stall" in note for note in run["notes"])
    assert longest > 0.8 * stalled_ms(run), "both of its worker processes were stopped"
    assert longest > 2 * without
