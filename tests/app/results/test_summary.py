"""Summary, series and percentile curve from an outcome. The functions are pure, so each number is exact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.results.observation import SeriesPoint
from app.results.series import series
from app.results.summary import (
    curve,
    interval_log,
    little_residual,
    responses_received,
    summarise,
)
from app.schemas.result import Fairness

# µs → requests: 10,000 in total, so that every percentile has 10 samples above it.
SERVICE = {1000: 5000, 1100: 4000, 1200: 900, 1300: 90, 1400: 10}
RESPONSE = {us * 10: count for us, count in SERVICE.items()}
STARTED_NS = 5_000_000_000


def encoded(counts: Mapping[int, int]) -> str:
    return histogram.encode(histogram.from_counts(counts.items()))


def second(t: float, length_s: float = 1.0, phase: str = "measure", **more: Any) -> Second:
    empty = encoded({})
    counted = {"intended": 100, "sent": 100, "requests": 100, "errors": 0, "in_flight": 0}
    return Second(
        t=t, length_s=length_s, phase=phase, **{**counted, "service": empty, "response": empty, **more}
    )


OUTCOME = Outcome(
    started_at="2026-01-01T00:00:00.000Z",
    measured_from_ns=10**9,
    measured_to_ns=3 * 10**9,
    duration_s=2.0,
    stopped=False,
    requests=10_000,
    errors={"timeout": 3, "reset": 0, "connect_refused": 2},
    intended=10_400,
    sent=10_100,
    dropped=300,
    late=7,
    waited=0,
    reconnects=5,
    bytes_in=1,
    bytes_out=2,
    connections_peak=4,
    idle_connections_held=6,
    cpu_user_s=0.1,
    cpu_system_s=0.1,
    wall_s=2.0,
    send_jitter_p99_us=12.0,
    in_flight_ns=0,
    kinds=(
        KindOutcome(
            "plaintext",
            "plaintext",
            9_000,
            {"timeout": 3},
            encoded({1000: 5000, 1100: 4000}),
            encoded({10_000: 5000, 11_000: 4000}),
        ),
        KindOutcome(
            "sleep ms=1",
            "sleep",
            1_000,
            {},
            encoded({1200: 900, 1300: 90, 1400: 10}),
            encoded({12_000: 900, 13_000: 90, 14_000: 10}),
        ),
    ),
    seconds=(
        second(0.0, phase="warmup", requests=50),
        second(1.0, requests=4000, errors=3),
        second(2.0, requests=5000),
        second(3.0, 0.2, "drain", requests=1000),
    ),
    background_requests=40,
)


def about(value: float) -> Any:
    return pytest.approx(value, rel=0.001)  # the precision of a histogram is three digits


def test_the_counts_of_requests_add_up() -> None:
    summary = summarise(OUTCOME)
    assert (summary.intended, summary.sent, summary.dropped) == (10_400, 10_100, 300)
    assert (summary.requests, summary.failed, summary.unfinished) == (10_000, 3, 97)
    assert (
        summary.counts
        == "10,400 scheduled: 10,000 answered, 3 failed, 97 in flight at the stop, 300 never sent"
    )
    closed = summarise(replace(OUTCOME, intended=None, dropped=0, sent=10_003))
    assert closed.counts == "10,003 sent: 10,000 answered, 3 failed"


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(0, 10**4), st.integers(0, 10**5))
def test_the_counts_in_the_sentence_add_up_for_any_outcome(
    answered: int, failed: int, unfinished: int, dropped: int
) -> None:
    kind = replace(OUTCOME.kinds[0], errors={"timeout": failed})
    sent = answered + failed + unfinished
    outcome = replace(
        OUTCOME, requests=answered, sent=sent, dropped=dropped, intended=sent + dropped, kinds=(kind,)
    )
    total, *parts = (
        int(each.replace(",", "")) for each in re.findall(r"[\d,]*\d", summarise(outcome).counts)
    )
    assert total == sum(parts) == sent + dropped


def test_percentiles_of_each_clock_cover_all_work_kinds() -> None:
    latency = summarise(OUTCOME).latency
    for clock, times in ((latency.service, 1), (latency.response, 10)):
        assert clock.count == 10_000
        assert (clock.p50_us, clock.p90_us, clock.p99_us, clock.p999_us, clock.max_us) == (
            about(1000 * times),
            about(1100 * times),
            about(1200 * times),
            about(1300 * times),
            about(1400 * times),
        )
        assert clock.mean_us == about(sum(us * count for us, count in SERVICE.items()) / 10_000 * times)


def test_each_work_kind_has_its_own_requests_errors_and_clocks() -> None:
    plaintext, sleep = summarise(OUTCOME).by_kind
    assert (plaintext.label, plaintext.requests, plaintext.errors) == ("plaintext", 9_000, 3)
    assert (sleep.label, sleep.requests, sleep.errors) == ("sleep ms=1", 1_000, 0)
    assert (sleep.service.p50_us, sleep.response.p50_us) == (about(1200), about(12_000))
    assert (plaintext.service.max_us, plaintext.response.max_us) == (about(1100), about(11_000))


def test_the_summary_lists_only_errors_that_occurred() -> None:
    assert summarise(OUTCOME).errors == {"timeout": 3, "connect_refused": 2}


def test_the_achieved_rate_counts_finished_requests_and_the_offered_rate_due_ones() -> None:
    summary = summarise(OUTCOME)
    assert (summary.requests, summary.dropped, summary.late, summary.reconnects) == (10_000, 300, 7, 5)
    assert (summary.achieved_per_s, summary.offered_per_s) == (4500.0, 5200.0)
    assert summary.rate_ratio == pytest.approx(4500 / 5200)
    assert summarise(replace(OUTCOME, intended=None)).offered_per_s is None
    assert responses_received(OUTCOME) == 50 + 4000 + 5000 + 1000 + 40, "all phases and slow connections"


def test_the_rate_ratio_is_at_most_one() -> None:
    assert summarise(replace(OUTCOME, intended=8_000)).rate_ratio == 1.0


def test_the_percentile_curve_ends_with_ten_samples_above_it() -> None:
    found = curve(OUTCOME)
    assert (found["count"], found["cut"]) == (10_000, pytest.approx(0.999))
    for clock, times in (("service", 1), ("response", 10)):
        points = dict(found[clock])
        assert (points[0.5], points[0.95]) == (about(1000 * times), about(1200 * times))
        assert max(points) == pytest.approx(0.999)


def test_the_interval_log_has_a_line_for_each_measured_second() -> None:
    seconds = (second(1.0, requests=1, response=encoded({2000: 1})), second(2.0, 0.5, requests=0))
    outcome = replace(OUTCOME, seconds=(second(0.0, phase="warmup"), *seconds, second(2.5, 0.1, "drain")))
    lines = [line for line in interval_log(outcome).splitlines() if line[0].isdigit()]
    starts = [line.split(",")[:2] for line in lines]
    assert starts == [["0.000", "1.000"], ["1.000", "0.500"]]
    assert float(lines[0].split(",")[2]) == about(2000)


def test_littles_law_compares_requests_in_flight_with_rate_times_latency() -> None:
    """100 req/s at 20 ms are two requests in flight; three in flight are an error of 50 %."""
    busy = second(0.0, requests=100, service=encoded({20_000: 100}))
    outcome = replace(OUTCOME, seconds=(busy,), duration_s=1.0, wall_s=1.0, in_flight_ns=2 * 10**9)
    assert little_residual(outcome) == pytest.approx(0, abs=0.002)
    assert little_residual(replace(outcome, in_flight_ns=3 * 10**9)) == pytest.approx(0.5, abs=0.002)
    assert little_residual(replace(outcome, seconds=())) is None


def point(since_s: float, at_s: float, cpu_percent: float, connections: int = 8) -> SeriesPoint:
    """Return a sample of the engine; times in seconds after the start."""
    since_ns, at_ns = (STARTED_NS + round(1e9 * s) for s in (since_s, at_s))
    return SeriesPoint(since_ns, at_ns, connections, 5, cpu_percent, 30_000_000, 2)


def rows(outcome: Outcome, points: list[SeriesPoint]) -> list[dict[str, Any]]:
    found = series(outcome, points, STARTED_NS)
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def test_a_row_of_the_series_has_both_sides_of_the_same_second() -> None:
    seconds = (
        second(0.0, phase="warmup", requests=50),
        second(
            1.0,
            intended=120,
            requests=90,
            errors=3,
            service=encoded({1000: 90}),
            response=encoded({4000: 90}),
        ),
        second(2.0, 0.3, intended=30, requests=30),
        second(2.3, 0.1, "drain"),
    )
    points = [point(-0.1, 0.01, 5, 0), point(0.01, 1.01, 20, 7), point(1.01, 2.01, 60), point(2.01, 2.31, 90)]
    warm, first, last = rows(replace(OUTCOME, seconds=seconds), points)
    assert [row["phase"] for row in (warm, first, last)] == ["warmup", "measure", "measure"], (
        "the drain has no row"
    )
    assert (first["offered_per_s"], first["achieved_per_s"], first["errors"]) == (120, 90, 3)
    assert (first["service_p50_us"], first["response_p50_us"]) == (about(1000), about(4000))
    assert (first["service_max_us"], first["response_max_us"]) == (about(1000), about(4000))
    assert (first["connections"], first["threads"], first["rss_bytes"], first["queue_depth"]) == (
        7,
        5,
        30_000_000,
        2,
    )
    assert (last["offered_per_s"], last["achieved_per_s"]) == (None, None), "too short for a rate"


def test_the_cpu_use_of_a_second_comes_from_the_sample_that_covers_it() -> None:
    """A sample at the start of a second covers the second before, one at its end the second itself."""
    seconds = (second(0.0), second(1.0), second(2.0))
    points = [point(-0.2, 0.01, 1), point(0.01, 1.01, 10), point(1.01, 2.01, 55), point(2.01, 3.01, 66)]
    assert [row["cpu_percent"] for row in rows(replace(OUTCOME, seconds=seconds), points)] == [10, 55, 66]


def test_a_summary_has_the_loads_of_its_groups_and_the_requests_per_connection() -> None:
    served = ConnectionRequests.of([0, 30, 30])
    group = replace(OUTCOME, requests=400, intended=800, per_connection=served)
    summary = summarise(replace(OUTCOME, groups={"new": group}))
    assert summary.fairness is None and list(summary.groups) == ["new"]
    found = summary.groups["new"]
    assert (found.requests, found.offered_per_s, found.groups) == (400, 400.0, {})
    assert found.fairness == Fairness(3, 0, 30, 20.0, served.jain) and served.jain == pytest.approx(2 / 3)
    everything = replace(OUTCOME, groups={"new": group, "other": group})
    assert responses_received(everything) == 3 * responses_received(OUTCOME)


def test_the_series_has_columns_for_each_group() -> None:
    """The group drains for a whole second longer, and had a shorter warm-up row."""
    group = replace(
        OUTCOME,
        seconds=(
            second(0.0, 0.9, phase="warmup", requests=9),
            second(0.9, requests=20, errors=1, response=encoded({4000: 20})),
            second(1.9, 0.2, requests=30),
            second(2.1, phase="drain", requests=1),
        ),
    )
    warm, first, last, after = rows(
        replace(
            OUTCOME,
            seconds=(second(0.0, phase="warmup"), second(1.0), second(2.0), second(3.0)),
            groups={"new": group},
        ),
        [],
    )
    assert warm["new:achieved_per_s"] == 10
    assert (first["new:achieved_per_s"], first["new:errors"]) == (20, 1)
    assert (first["new:response_p50_us"], first["new:response_p99_us"]) == (about(4000), None)
    assert last["new:achieved_per_s"] is None, "too short for a rate"
    assert {value for name, value in after.items() if name.startswith("new:")} == {None}


def test_a_second_without_a_sample_has_no_engine_values() -> None:
    (row,) = rows(replace(OUTCOME, seconds=(second(0.0),)), [])
    assert {row[name] for name in ("connections", "threads", "cpu_percent", "rss_bytes", "queue_depth")} == {
        None
    }
    assert row["achieved_per_s"] == 100
