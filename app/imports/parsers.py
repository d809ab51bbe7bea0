"""Parses the output of another load tool into one kind of result.

`requests` and `rate_per_s` count every response of any status. `errors` counts responses other than 2xx or
3xx, and requests without a response. `late` counts responses after the tool's own timeout. A percentile is
None if the tool did not print or did not measure it; `missing` says why. All tools measure from the actual
send, so their latency corresponds to *service* time here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from app.errors import Invalid
from app.imports.k6 import read_k6
from app.imports.oha import read_oha
from app.imports.tool_json import VALUE_MAX
from app.imports.wrk import read_wrk
from app.schemas.imported_result import ImportedResult

TEXT_MAX = 60_000  # characters of a tool's output; with JSON escapes it still fits into a request body
READERS: dict[str, Callable[[str], ImportedResult]] = {"wrk": read_wrk, "oha": read_oha, "k6": read_k6}


def read(tool: str, text: str) -> ImportedResult:
    """Return the result in a tool's output. `tool`: a key of READERS. Raises Invalid with a sentence."""
    try:
        found = READERS[tool](text)
    except ValueError:  # a number with two points, or with thousands of digits
        raise Invalid(f"Not valid {tool} output: a number cannot be parsed.") from None
    for name, value in asdict(found.figures).items():
        if isinstance(value, int | float) and not 0 <= value < VALUE_MAX:
            raise Invalid(f"Not valid {tool} output: {name} is {VALUE_MAX:g} or more.")
    return found
