"""Progress of a run: figures cover the last second, and are None if the generator reported nothing in it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from app.load.protocol.meter import BUCKETS, MEASURE, MeterReading
from app.load.protocol.plan import Plan
from app.runs.progress import MeterWindow, Progress, progress
from tests.app.stored_runs import stored_run

PLAN = Plan("constant-arrival-rate", rate_per_s=100.0)
HISTOGRAM = (0,) * 7 + (100,) + (0,) * (BUCKETS - 8)
NOW_NS = 100 * 10**9


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock to NOW_NS."""
    monkeypatch.setattr("app.runs.progress.time", SimpleNamespace(monotonic_ns=lambda: NOW_NS))


def progress_after(age_s: float) -> Progress:
    """Return the progress after 0.5 s of load, of which the last reading is `age_s` old."""
    ended_ns = NOW_NS - int(age_s * 1e9)
    first = MeterReading(phase=MEASURE, started_ns=ended_ns - 10**9, at_ns=ended_ns - 500_000_000)
    last = replace(
        first, at_ns=ended_ns, intended=100, completed=50, in_flight=50, service=HISTOGRAM, response=HISTOGRAM
    )
    meter = MeterWindow()
    meter.add(first)
    meter.add(last)
    return progress(stored_run(state="running"), PLAN, meter, None, 10.0)


def test_rates_and_percentiles_cover_the_last_second() -> None:
    seen = progress_after(0.0)
    assert (seen.offered_per_s, seen.achieved_per_s, seen.in_flight) == (200.0, 100.0, 50)
    assert seen.p50_us and seen.p99_us and seen.response_p99_us and seen.generator_utilisation is not None
    assert (seen.elapsed_s, seen.progress) == (1.0, 0.1)


def test_rates_are_unknown_after_a_second_without_readings() -> None:
    seen = progress_after(1.5)
    assert (seen.offered_per_s, seen.achieved_per_s, seen.generator_utilisation) == (None, None, None)
    assert (seen.p50_us, seen.p99_us, seen.response_p99_us) == (None, None, None)
    assert seen.phase == "measure", "the last reported phase"
