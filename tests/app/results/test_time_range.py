"""The figures of a part of a run, from seconds whose histograms are known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.errors import Invalid
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome, Second
from app.results.series import SERIES_COLUMNS
from app.results.time_range import time_range

from .test_summary import OUTCOME, encoded, second

FAST, SLOW = {100: 990}, {100: 900, 9000: 90}


def load(*seconds: Second) -> Outcome:
    return replace(OUTCOME, seconds=seconds)


def counted(t: float, counts: Mapping[int, int], **more: Any) -> Second:
    times = encoded(counts)
    return second(t, **{"requests": sum(counts.values()), "service": times, "response": times, **more})


def series_of(outcome: Outcome, **columns: Sequence[float | None]) -> dict[str, Any]:
    """Return a series with these values of the engine, in the order of the seconds; others are unknown."""
    count = sum(each.phase != "drain" for each in outcome.seconds)
    starts = [each.t for each in outcome.seconds]
    by_name = {name: columns.get(name, [None] * count) for name in SERIES_COLUMNS} | {"t_s": starts[:count]}
    return {"columns": SERIES_COLUMNS, "rows": [list(row) for row in zip(*by_name.values(), strict=True)]}


MEASURED = load(
    counted(0.0, SLOW, phase="warmup", intended=1000),
    counted(1.0, FAST, intended=1000, errors=1),
    counted(2.0, SLOW, intended=1000, errors=2),
    counted(3.0, FAST, intended=500, length_s=0.5),
    counted(3.5, {5000: 20}, phase="drain", intended=0),
)
UNKNOWN = series_of(MEASURED)


def test_percentiles_are_those_of_all_requests_of_the_range() -> None:
    part = time_range(MEASURED, UNKNOWN, 1.0, 3.0)
    assert (part.from_s, part.to_s, part.length_s, part.phases) == (1.0, 3.0, 2.0, ("measure",))
    assert (part.requests, part.errors) == (1980, 3)
    assert (part.achieved_per_s, part.offered_per_s) == (990.0, 1000.0)
    expected = histogram.percentiles(histogram.from_counts([(100, 1890), (9000, 90)]))
    assert part.latency.response == part.latency.service == expected
    assert part.latency.response.p50_us == 100 and part.latency.response.p99_us == pytest.approx(
        9000, rel=0.001
    )
    assert part.latency.corrected is None


def test_a_range_is_extended_to_whole_seconds() -> None:
    part = time_range(MEASURED, UNKNOWN, 1.9, 2.1)
    assert (part.from_s, part.to_s) == (1.0, 3.0)
    assert time_range(MEASURED, UNKNOWN, 1.0, 2.0).to_s == 2.0, "the next second is not part of it"


def test_without_limits_it_is_the_whole_load_without_the_drain() -> None:
    part = time_range(MEASURED, UNKNOWN, None, None)
    assert (part.from_s, part.to_s, part.length_s) == (0.0, 3.5, 3.5)
    assert part.phases == ("warmup", "measure")
    assert part.requests == 4 * 990


def test_a_percentile_with_too_few_samples_is_missing() -> None:
    few = load(counted(0.0, {100: 50}))
    assert time_range(few, series_of(few), 0.0, 1.0).latency.response.p99_us is None


def test_values_of_the_engine_are_weighted_by_time_or_missing() -> None:
    columns: dict[str, list[float | None]]
    columns = {"cpu_percent": [None, 50.0, 80.0, 20.0], "rss_bytes": [1, 5, 3, 2], "threads": [9, 2, 4, 3]}
    known = series_of(MEASURED, **columns)
    part = time_range(MEASURED, known, 1.0, None)
    assert part.cpu_percent == pytest.approx((50 + 80 + 20 * 0.5) / 2.5)
    assert (part.rss_bytes_max, part.threads_max, part.connections_max) == (5, 4, None)
    assert time_range(MEASURED, known, 0.0, 2.0).cpu_percent is None


def test_a_run_without_its_series_has_no_values_of_the_engine() -> None:
    part = time_range(MEASURED, {"columns": [], "rows": []}, 1.0, 3.0)
    assert part.requests == 1980
    assert (part.cpu_percent, part.rss_bytes_max, part.threads_max) == (None, None, None)


def test_a_closed_load_offers_no_rate() -> None:
    closed = load(counted(0.0, FAST, intended=None))
    assert time_range(closed, series_of(closed), None, None).offered_per_s is None


@pytest.mark.parametrize(
    ("from_s", "to_s", "pointer", "detail"),
    [
        (2.0, 2.0, "/to_s", "after the start"),
        (3.0, 1.0, "/to_s", "after the start"),
        (0.0, 0.0, "/to_s", "after the start"),
        (3.5, 9.0, "/from_s", r"until 3\.5 s"),
        (4.0, None, "/from_s", r"until 3\.5 s"),
    ],
)
def test_a_range_without_a_second_is_rejected(
    from_s: float, to_s: float | None, pointer: str, detail: str
) -> None:
    with pytest.raises(Invalid, match=detail) as raised:
        time_range(MEASURED, UNKNOWN, from_s, to_s)
    assert raised.value.problems[0].pointer == pointer
