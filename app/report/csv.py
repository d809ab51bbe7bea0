"""The series as CSV (RFC 4180): the numbers of `/series` as they stand, a row a second, units in the header's names.

What is not known is an empty cell, never 0.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

# A spreadsheet takes a cell that begins with one of these for a formula, and runs it; some skip white space before it.
# The last four are their full-width forms, which East Asian versions take as well. Where a cell begins is up to who
# opens the file: half of the world separates by `;`, others by tabs, and who takes quotes for text sees newlines too.
_FORMULA = re.compile(r"(^|[;,|\t\r\n\"])([^\S\t\r\n]*+)(?=[=+\-@＝＋－＠])")


def write(series: Mapping[str, Any]) -> str:
    """The columns and rows of a series."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(map(cell, series["columns"]))
    writer.writerows(map(cell, row) for row in series["rows"])
    return file.getvalue()


def cell(value: object) -> object:
    """Numbers as they are. In a text an apostrophe stands before whatever would be a formula, if a cell began there:
    `a;=1+1` is `a;'=1+1`, which is text wherever it is cut."""
    return _FORMULA.sub(r"\1\2'", value) if isinstance(value, str) else value
