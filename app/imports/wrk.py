"""Parses the text output of wrk and wrk2."""

from __future__ import annotations

import re

from app.errors import Invalid
from app.imports.tool_json import VALUE_MAX
from app.schemas.imported_result import ImportedResult

LATE_SHARE_MAX = (
    0.1  # late responses / samples above a percentile: with more of them, it is another percentile
)
_UNIT_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_TIME = r"([\d.]+)(us|ms|s|m|h)"
# The patterns allow only blanks before a line: `\s` would also match line ends, and take quadratic time for
# many empty lines.
_TOTAL = re.compile(rf"^[ \t]*(\d+) requests in {_TIME}\b", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
_MAX = re.compile(rf"^[ \t]*Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}", re.MULTILINE)
_PERCENTILE = re.compile(rf"^[ \t]*(\d+(?:\.\d+)?)%\s+{_TIME}\s*$", re.MULTILINE)
_SOCKETS = re.compile(
    r"^[ \t]*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.MULTILINE
)
_STATUS = re.compile(r"^[ \t]*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)


def read_wrk(text: str) -> ImportedResult:
    """Return the result in the output of wrk. Raises Invalid for missing lines, ValueError for numbers."""
    total, rate = _TOTAL.search(text), _RATE.search(text)
    if not total or not rate:
        line = "Requests/sec: …" if total else "… requests in …"
        raise Invalid(f"Not valid wrk output: the line {line!r} is missing.")
    requests = int(total[1])
    maximum, percentiles = _MAX.search(text), _percentiles(text)
    sockets, status = _SOCKETS.search(text), _STATUS.search(text)
    *broken, late = map(int, sockets.groups()) if sockets else (0,)
    # Without a response wrk prints 0.00us, which is not a measurement.
    known = percentiles if 0 < requests < VALUE_MAX else {}
    known = {q: us for q, us in known.items() if late <= LATE_SHARE_MAX * (100 - q) / 100 * requests + 1e-6}
    return ImportedResult(
        tool="wrk",
        requests=requests,
        rate_per_s=float(rate[1]),
        duration_s=_us(total[2], total[3]) / 1e6,
        errors=sum(broken) + (int(status[1]) if status else 0),
        p50_us=known.get(50.0),
        p90_us=known.get(90.0),
        p99_us=known.get(99.0),
        max_us=_us(maximum[5], maximum[6]) if maximum and not late and requests else None,
        late=late,
        missing=_missing(late, requests),
        raw=text,
    )


def _missing(late: int, requests: int) -> str | None:
    """Return why latency is missing; None if it is not.

    wrk counts a response after its --timeout as a timeout error and omits it from its latency distribution.
    """
    if not late:
        return None
    return (
        f"{late:,} of {requests:,} responses arrived after wrk's --timeout (default 2 s). wrk omits them "
        "from its latency distribution, so the maximum and the percentiles that they change are missing."
    )


def _percentiles(text: str) -> dict[float, float]:
    """Return percent → µs of the first table. The second one, of wrk2 --u_latency, is not corrected."""
    found: dict[float, float] = {}
    for percent, number, unit in _PERCENTILE.findall(text):
        found.setdefault(float(percent), _us(number, unit))
    return found


def _us(number: str, unit: str) -> float:
    return float(number) * _UNIT_US[unit]
