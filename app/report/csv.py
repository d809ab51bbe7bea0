"""The series as CSV (RFC 4180): the numbers of `/series` as they stand, a row a second, units in the header's names.

What is not known is an empty cell, never 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

# A spreadsheet takes a text that begins like this for a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write(series: Mapping[str, Any]) -> str:
    """The columns and rows of a series."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(map(cell, series["columns"]))
    writer.writerows(map(cell, row) for row in series["rows"])
    return file.getvalue()


def cell(value: object) -> object:
    """Numbers as they are; a text that looks like a formula gets an apostrophe, which makes it one no more."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
