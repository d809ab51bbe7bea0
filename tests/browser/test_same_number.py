"""The number on a chart, in REST and in CSV for the same second is the same number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from app import format as formats
from app.report.html import rows_of
from tests.app.driver import LabProcess

from .conftest import Opener

CHARTS = {
    "rate": ("achieved_per_s", "offered_per_s"),
    "load": ("connections", "threads"),
    "cpu": ("cpu_percent",),
}

# Of each formatter in format.js: the one in app/format.py, and the limits at which the text changes.
FORMATTERS: dict[str, tuple[Callable[[float], str], tuple[float, ...]]] = {
    "count": (formats.count, (1, 999, 1000, 1e6)),
    "rate": (formats.rate, (0.04, 0.1, 9.95, 82.5, 99.9, 99.96, 100, 3194.2)),
    "latency": (formats.us, (0.1, 9.95, 999.5, 9_995, 99_950, 999_500, 99.95e6, 2_500e6)),
    "percent": (formats.percent, (0.2, 9.9, 10, 106.4)),
    "share": (formats.share, (0.046, 0.5, 0.998, 1)),
    "decimal": (formats.decimal, (0.04, 41.6, 1234.5)),
    "bytes": (formats.size, (10, 999, 1000, 700, 9.9 * 1024, 35_651_584)),
    "duration": (formats.duration, (1, 59, 60, 3599, 3600, 7500)),
}


def table(page: Page, name: str) -> list[list[str]]:
    """The rows of a chart's table, as a person reads them; the first column is the end of the second."""
    panel = page.locator(f'[data-chart="{name}"]')
    expect(panel.locator("canvas")).to_be_visible()
    panel.get_by_text("Show as table").click()
    rows = panel.locator("[data-chart-table] tbody tr")
    expect(rows.first).to_be_visible()
    read: list[list[str]] = rows.evaluate_all(
        "all => all.map((row) => [...row.children].map((c) => c.textContent))"
    )
    return read


def says(text: str, value: float | None) -> bool:
    """Whether a text is this number, to the last digit that it shows; a dash is what is not known."""
    if value is None or text == "–":
        return value is None and text == "–"
    number = re.sub(r"[ %,]", "", text)
    places = len(number.partition(".")[2])
    return bool(abs(float(number) - value) <= 0.5 * 10**-places + 1e-9)


def test_a_second_has_the_same_numbers_on_the_chart_in_rest_and_in_csv(
    visit: Opener, lab: LabProcess
) -> None:
    series: dict[str, Any] = lab.get("/runs/2/series")
    columns, rows = series["columns"], series["rows"]
    written = list(csv.DictReader(io.StringIO(lab.http.get("/api/v1/runs/2/csv").text)))
    assert len(written) == len(rows) >= 3
    assert [[each[name] for name in columns] for each in written] == [
        ["" if value is None else str(value) for value in row] for row in rows
    ]
    ends = [each["end_s"] for each in rows_of(series, lab.get("/runs/2")["summary"]["duration_s"])]
    page = visit("/runs/2").page
    for name, shown in CHARTS.items():
        read = table(page, name)
        assert len(read) == len(rows)
        for (second, *texts), row, end in zip(read, rows, ends, strict=True):
            known = dict(zip(columns, row, strict=True))
            assert says(second, end)
            values = {column: known[column] for column in shown}
            for text, (column, value) in zip(texts, values.items(), strict=True):
                assert says(text, value), f"second {second}: {column} is {value}, and the chart says {text}"
    assert len({row[columns.index("achieved_per_s")] for row in rows}) > 1, (
        "a column that is the same everywhere"
    )


def test_pages_and_scripts_write_a_quantity_in_one_format(visit: Opener) -> None:
    page = visit("/about").page
    for name, (formatter, limits) in FORMATTERS.items():
        values = [0, *(limit * factor for limit in limits for factor in (0.98, 0.9999, 1, 1.0001))]
        code = "([name, values]) => import('/static/js/lib/format.js').then((m) => values.map(m[name]))"
        written = page.evaluate(
            code.replace("values.map(m[name])", "values.map((v) => m[name](v))"), [name, values]
        )
        assert written == [formatter(value) for value in values], name
