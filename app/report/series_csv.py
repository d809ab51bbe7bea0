"""Writes the series of a run as CSV (RFC 4180): one row per second, with units in the header.

An unknown value is an empty cell, never 0.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

# A spreadsheet runs a cell that begins with one of these as a formula, also after white space. The last four
# are full-width forms, which East Asian versions accept. The delimiter depends on the program and its locale
# (`,`, `;`, tab), and a program that does not know quotes also splits at newlines, so a cell may begin after
# any of them.
_FORMULA = re.compile(r"(^|[;,|\t\r\n\"])([^\S\t\r\n]*+)(?=[=+\-@＝＋－＠])")


def write(series: Mapping[str, Any]) -> str:
    """Return a series as CSV. `series`: its columns and rows."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(map(cell, series["columns"]))
    writer.writerows(map(cell, row) for row in series["rows"])
    return file.getvalue()


def cell(value: object) -> object:
    """Return a value for a CSV cell: numbers unchanged, text with an apostrophe before each possible formula.

    `a;=1+1` becomes `a;'=1+1`, which is text at any delimiter.
    """
    return _FORMULA.sub(r"\1\2'", value) if isinstance(value, str) else value
