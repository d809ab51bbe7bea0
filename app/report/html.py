"""A run as one HTML file: no script, no request to anywhere, its style and its charts inside, light and dark.

Everything in it is escaped by the template; its own Content-Security-Policy forbids scripts and requests as well, so
that a file which was passed on stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from app import format, paths, templating
from app.report.chart import (
    Chart,
    Given,
    Points,
    chart,
    from_zero,
    known,
    logarithmic,
    percentile_axis,
    seconds_axis,
)
from app.schemas.run import RunView

CLOCKS = {"response": "a", "service": "b dashed"}  # the clock, and the look of its line


def write(view: RunView, series: Mapping[str, Any], curve: Mapping[str, Any] | None) -> str:
    """The file; `curve` is the latency by percentile, None where nothing was measured."""
    rows = [dict(zip(series["columns"], row, strict=True)) for row in series["rows"]]
    charts = tuple(charts_of(rows, curve))
    return environment().get_template("report.html").render(run=view, rows=rows, charts=charts)


@cache
def environment() -> Environment:
    """The templates of the pages, for a file."""
    return templating.make_environment(paths.TEMPLATES)


def charts_of(rows: list[dict[str, Any]], curve: Mapping[str, Any] | None) -> Iterator[Chart]:
    """Throughput and percentiles over time, and latency by percentile."""
    if rows:
        yield throughput(rows)
        yield latency_over_time(rows)
    if curve:
        yield latency_by_percentile(curve)


def throughput(rows: list[dict[str, Any]]) -> Chart:
    given = [
        Given("achieved", "a", _column(rows, "achieved_per_s")),
        Given("offered", "ink dashed", _column(rows, "offered_per_s")),
    ]
    axis = from_zero(known(given), format.rate)
    return chart("Throughput, requests a second", "From 0.", given, _time(rows), axis, _warm_until(rows))


def latency_over_time(rows: list[dict[str, Any]]) -> Chart:
    columns = [f"{clock}_{part}_us" for part in ("p99", "p50") for clock in CLOCKS]
    # The closed model has one clock: a request is meant for when it is sent.
    if all(
        row[f"service_{part}_us"] == row[f"response_{part}_us"] for row in rows for part in ("p50", "p99")
    ):
        columns = [name for name in columns if name.startswith("response")]
    looked = {"p99": CLOCKS, "p50": {"response": "c", "service": "d dashed"}}
    given = []
    for name in columns:
        clock, part, _ = name.split("_")
        given.append(Given(f"{part} {clock}", looked[part][clock], _column(rows, name)))
    axis = logarithmic(known(given), format.us)
    note = "Logarithmic. Response is from the intended send, service from the actual one."
    return chart("Latency, each second", note, given, _time(rows), axis, _warm_until(rows))


def latency_by_percentile(curve: Mapping[str, Any]) -> Chart:
    given = [Given(clock, look, curve[clock]) for clock, look in CLOCKS.items()]
    if curve["response"] == curve["service"]:
        given = given[:1]
    axis = logarithmic(known(given), format.us)
    note = "Logarithmic. It ends where fewer than 10 samples lie above."
    return chart("Latency by percentile", note, given, percentile_axis(curve["cut"]), axis)


def _column(rows: list[dict[str, Any]], name: str) -> Points:
    return [(row["t_s"], row[name]) for row in rows]


def _time(rows: list[dict[str, Any]]) -> Any:
    return seconds_axis([row["t_s"] for row in rows], lambda at: f"{at:g} s")


def _warm_until(rows: list[dict[str, Any]]) -> float | None:
    """When the measured part begins, if there was a warm-up."""
    first = next((row["t_s"] for row in rows if row["phase"] == "measure"), None)
    return first if rows[0]["phase"] == "warmup" else None
