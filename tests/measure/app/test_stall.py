"""A stall on purpose: both clocks show of it what the schedule says."""

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
    """How long the engine was really stopped, by the run's own note."""
    found = next(
        match for note in run["notes"] if (match := re.match(r"The server was paused for ([\d.]+) ms", note))
    )
    return float(found[1])


def test_a_stall_shows_in_response_time_as_the_schedule_says_and_hides_in_service_time(
    lab: LabProcess, report: Report
) -> None:
    """Who is due at its beginning waits for all of it, who is due at its end not at all: a line from 600 ms to 0. So
    15 % of the requests wait, and the upper third of them (5 % of all) for more than 400 ms.

    Noise: the stall is compared with its real length, which the lab measures. A control run without a stall tells how
    long requests wait in this minute anyway; its maximum is added to each tolerance.
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
    # By service time the eight in flight show it, and nobody else.
    assert service[0.99] / 1000 < real_ms / 2 + noise_ms
    (mark,) = [mark for mark in run["marks"] if "stalled" in mark["text"]]
    assert mark["t_s"] == pytest.approx(0.2 + 2.0 - STALL_MS / 2000, abs=0.1 + noise_ms / 1000)


def test_a_closed_load_says_what_it_cannot_see(lab: LabProcess, report: Report) -> None:
    """Noise: the longest answer is compared with the real length of the stall, which the lab measures, and with the
    longest of a control run without one. More noise only lengthens an answer."""
    control = lab.run(model="prefork", plan=plan(1.0, 0))
    run = lab.run(model="prefork", plan=plan(1.0, 0, stall_ms=300))
    longest, usual = (each["summary"]["latency"]["response"]["max_us"] / 1000 for each in (run, control))
    report(f"stalled {stalled_ms(run):.0f} ms, longest {longest:.0f} ms, without a stall {usual:.0f} ms")
    assert any("at most 8 requests show the stall" in note for note in run["notes"])
    assert longest > 0.8 * stalled_ms(run), "both of its worker processes were stopped"
    assert longest > 2 * usual
