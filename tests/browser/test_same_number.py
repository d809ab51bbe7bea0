"""The number on a chart, in REST and in CSV for the same second is the same number."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.app.driver import LabProcess

from .conftest import Opener

CHARTS = {
    "rate": ("achieved_per_s", "offered_per_s"),
    "load": ("connections", "threads"),
    "cpu": ("cpu_percent",),
}


def table(page: Page, name: str) -> list[list[str]]:
    """The rows of a chart's table, as a person reads them; the first column is the second."""
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
    page = visit("/runs/2").page
    for name, shown in CHARTS.items():
        read = table(page, name)
        assert len(read) == len(rows)
        for (second, *texts), row in zip(read, rows, strict=True):
            known = dict(zip(columns, row, strict=True))
            assert says(second.removesuffix(" s"), known["t_s"])
            values = {column: known[column] for column in shown}
            for text, (column, value) in zip(texts, values.items(), strict=True):
                assert says(text, value), f"second {second}: {column} is {value}, and the chart says {text}"
    assert len({row[columns.index("achieved_per_s")] for row in rows}) > 1, (
        "a column that is the same everywhere"
    )
