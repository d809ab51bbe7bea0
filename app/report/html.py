"""Writes a run as one self-contained HTML file: inline style, SVG charts, light and dark, no scripts.

The template escapes all text. The Content-Security-Policy in the file forbids scripts and requests, so that
opening a file from someone else is safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from app import format, paths, templating
from app.report.chart import (
    Chart,
    ChartData,
    Points,
    chart,
    from_zero,
    known,
    logarithmic,
    percentile_axis,
    time_axis,
)
from app.report.search_chart import search_chart
from app.schemas.run import RunView

LATENCY_AXIS = "Latency (log scale)"
CLOCKS = {"response": "a", "service": "b dashed"}  # clock → look of its line


def write(view: RunView, series: Mapping[str, Any], curve: Mapping[str, Any] | None) -> str:
    """Return the HTML file. `curve`: latency by percentile, None if nothing was measured."""
    rows = rows_of(series, view.summary.duration_s if view.summary else 0.0)
    charts = tuple(charts_of(rows, curve))
    template = environment().get_template("report/run.html")
    return template.render(run=view, rows=rows, charts=charts, trials_chart=search_chart(view.capacity))


def rows_of(series: Mapping[str, Any], measured_s: float) -> list[dict[str, Any]]:
    """Return the rows of a series by column, each with its end (`end_s`), at which the charts draw it.

    A row ends where the next one starts, and the last one with the measured time of `measured_s` seconds.
    """
    rows = [dict(zip(series["columns"], row, strict=True)) for row in series["rows"]]
    if not rows:
        return []
    last = rows[-1]["t_s"] + 1
    if (begin := _measured_from(rows)) is not None:
        last = max(round(begin + measured_s, 3), rows[-1]["t_s"])
    ends = [*(row["t_s"] for row in rows[1:]), last]
    return [{**row, "end_s": end} for row, end in zip(rows, ends, strict=True)]


def _measured_from(rows: list[dict[str, Any]]) -> float | None:
    """Return when the measured window begins; None if the run ended before."""
    return next((row["t_s"] for row in rows if row["phase"] == "measure"), None)


@cache
def environment() -> Environment:
    """Return the template environment for files, created once."""
    return templating.make_environment(paths.TEMPLATES)


def charts_of(rows: list[dict[str, Any]], curve: Mapping[str, Any] | None) -> Iterator[Chart]:
    """Yield the charts: throughput over time, latency over time, latency by percentile."""
    if rows:
        yield throughput(rows)
        yield latency_over_time(rows)
    if curve:
        yield latency_by_percentile(curve)


def throughput(rows: list[dict[str, Any]]) -> Chart:
    """Return the chart of offered and achieved rate per second."""
    lines = [
        ChartData("achieved", "a", _column(rows, "achieved_per_s")),
        ChartData("offered", "ink dashed", _column(rows, "offered_per_s")),
    ]
    axis = from_zero(known(lines), format.rate, "Throughput (req/s)")
    return chart(
        "Throughput", "One value per second, at its end.", lines, _time(rows), axis, _warm_until(rows)
    )


def latency_over_time(rows: list[dict[str, Any]]) -> Chart:
    """Return the chart of p50 and p99 per second; for a closed load only of response time."""
    columns = [f"{clock}_{part}_us" for part in ("p99", "p50") for clock in CLOCKS]
    # In a closed load both times are equal: there is no schedule that a send could miss.
    if all(
        row[f"service_{part}_us"] == row[f"response_{part}_us"] for row in rows for part in ("p50", "p99")
    ):
        columns = [name for name in columns if name.startswith("response")]
    looks = {"p99": CLOCKS, "p50": {"response": "c", "service": "d dashed"}}
    lines = []
    for name in columns:
        clock, part, _ = name.split("_")
        lines.append(ChartData(f"{part} {clock}", looks[part][clock], _column(rows, name)))
    axis = logarithmic(known(lines), format.us_tick, LATENCY_AXIS)
    note = "Response time starts at the scheduled send, service time at the actual send."
    return chart("Latency per second", note, lines, _time(rows), axis, _warm_until(rows))


def latency_by_percentile(curve: Mapping[str, Any]) -> Chart:
    """Return the chart of latency by percentile: response and service time, or one if they are equal."""
    lines = [ChartData(clock, look, curve[clock]) for clock, look in CLOCKS.items()]
    if curve["response"] == curve["service"]:
        lines = lines[:1]
    axis = logarithmic(known(lines), format.us_tick, LATENCY_AXIS)
    note = "A curve ends where fewer than 10 samples are above it."
    return chart("Latency by percentile", note, lines, percentile_axis(curve["cut"]), axis)


def _column(rows: list[dict[str, Any]], name: str) -> Points:
    return [(row["end_s"], row[name]) for row in rows]


def _time(rows: list[dict[str, Any]]) -> Any:
    return time_axis([row["end_s"] for row in rows], lambda at: f"{at:g}", "Time (s)")


def _warm_until(rows: list[dict[str, Any]]) -> float | None:
    """Return when the warm-up ends; None if there was none."""
    if rows[0]["phase"] != "warmup":
        return None
    begin = _measured_from(rows)
    return rows[-1]["end_s"] if begin is None else begin
