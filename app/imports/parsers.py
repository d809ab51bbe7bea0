"""What other load tools say of the same engine: wrk's text, and the summary JSON of oha and k6, as one value.

`requests` and `rate_per_s` count every answer that came, whatever its status; `errors` are answers that were not 2xx or
3xx and requests that got none; `late` are answers that came after the tool's own time limit. A percentile that the tool
did not print (wrk without --latency, k6's p(99) unless asked for by --summary-trend-stats), or did not measure, is
None, and `missing` says why. All three measure from the actual send, so they stand beside our *service* time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.errors import Invalid
from app.schemas.imported_result import ImportedResult

TEXT_MAX = 60_000  # characters of what a tool wrote: with its quotes it fits into a body
MOST = 1e15  # more than that, no tool has measured


def read(tool: str, text: str) -> ImportedResult:
    """Raises Invalid, in a sentence, if this is not what the tool writes."""
    try:
        found = READERS[tool](text)
    except ValueError:  # two points in it, or thousands of digits
        raise Invalid(f"This is not what {tool} writes: it has a number that cannot be read.") from None
    for name, value in asdict(found.figures).items():
        if isinstance(value, int | float) and not 0 <= value < MOST:
            raise Invalid(f"This is nothing that {tool} has measured: its {name} would be {MOST:g} or more.")
    return found


# wrk and wrk2: text

_WRK_LATE_MAX = 0.1  # of what lies above a percentile: with more answers missing, it is another percentile
_WRK_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_TIME = r"([\d.]+)(us|ms|s|m|h)"
# Before a line only blanks (`\s` has line ends too: each of many empty lines would look through all that follow).
_WRK_TOTAL = re.compile(rf"^[ \t]*(\d+) requests in {_TIME}\b", re.MULTILINE)
_WRK_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
_WRK_MAX = re.compile(rf"^[ \t]*Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}", re.MULTILINE)
_WRK_PERCENTILE = re.compile(rf"^[ \t]*(\d+(?:\.\d+)?)%\s+{_TIME}\s*$", re.MULTILINE)
_WRK_SOCKETS = re.compile(
    r"^[ \t]*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.MULTILINE
)
_WRK_STATUS = re.compile(r"^[ \t]*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)


def read_wrk(text: str) -> ImportedResult:
    total, rate = _WRK_TOTAL.search(text), _WRK_RATE.search(text)
    if not total or not rate:
        line = "Requests/sec: …" if total else "… requests in …"
        raise Invalid(f"This is not what wrk prints at its end: there is no line {line!r}.")
    requests = int(total[1])
    most, printed = _WRK_MAX.search(text), _wrk_percentiles(text)
    sockets, status = _WRK_SOCKETS.search(text), _WRK_STATUS.search(text)
    *broken, late = map(int, sockets.groups()) if sockets else (0,)
    # Without an answer in time wrk prints 0.00us, which nothing has measured.
    at = printed if 0 < requests < MOST else {}
    at = {q: us for q, us in at.items() if late <= _WRK_LATE_MAX * (100 - q) / 100 * requests + 1e-6}
    return ImportedResult(
        tool="wrk",
        requests=requests,
        rate_per_s=float(rate[1]),
        duration_s=_wrk_us(total[2], total[3]) / 1e6,
        errors=sum(broken) + (int(status[1]) if status else 0),
        p50_us=at.get(50.0),
        p90_us=at.get(90.0),
        p99_us=at.get(99.0),
        max_us=_wrk_us(most[5], most[6]) if most and not late and requests else None,
        late=late,
        missing=_wrk_missing(late, requests),
        raw=text,
    )


def _wrk_missing(late: int, requests: int) -> str | None:
    """wrk counts an answer after its --timeout as an error of that name, and leaves it out of its distribution."""
    if not late:
        return None
    return (
        f"{late:,} of {requests:,} answers came after wrk's --timeout (2 s unless given). wrk leaves them out of its "
        "distribution, so the maximum, and each percentile that they change, is missing."
    )


def _wrk_percentiles(text: str) -> dict[float, float]:
    """Those of the first table: wrk2 --u_latency prints a second one, uncorrected."""
    found: dict[float, float] = {}
    for share, number, unit in _WRK_PERCENTILE.findall(text):
        found.setdefault(float(share), _wrk_us(number, unit))
    return found


def _wrk_us(number: str, unit: str) -> float:
    return float(number) * _WRK_US[unit]


# oha: `--output-format json` (`--json` in older ones); times in seconds

# In flight when the time was up: how every timed run of oha ends, and no failure.
_OHA_CUT_OFF = "aborted due to deadline"


def read_oha(text: str) -> ImportedResult:
    found = Reader.of("oha", text)
    duration_s = found.number("summary", "total")
    by_status, by_error = found.counts("statusCodeDistribution"), found.counts("errorDistribution")
    requests = sum(by_status.values())
    errors = sum(n for status, n in by_status.items() if not status.startswith(("2", "3")))
    errors += sum(n for error, n in by_error.items() if error != _OHA_CUT_OFF)

    def us(*path: str) -> float | None:
        seconds = found.perhaps(*path)
        return seconds * 1e6 if seconds is not None and requests else None

    return ImportedResult(
        # Not its own requestsPerSec, which counts those that were cut off as well.
        tool="oha",
        requests=requests,
        rate_per_s=requests / duration_s if duration_s else 0.0,
        duration_s=duration_s,
        errors=errors,
        p50_us=us("latencyPercentiles", "p50"),
        p90_us=us("latencyPercentiles", "p90"),
        p99_us=us("latencyPercentiles", "p99"),
        max_us=us("summary", "slowest"),
        raw=text,
    )


# k6: `--summary-export`, what handleSummary gets (the same under "values"), and the summary of 2.x; times in ms


def read_k6(text: str) -> ImportedResult:
    found = Reader.of("k6", text)
    if found.has("results", "metrics"):
        found = _k6_2(found)
    nested = found.has("metrics", "http_reqs", "values")

    def at(metric: str, name: str) -> tuple[str, ...]:
        return ("metrics", metric, "values", name) if nested else ("metrics", metric, name)

    def us(*names: str) -> float | None:
        known = (found.perhaps(*at("http_req_duration", name)) for name in names)
        return next((ms * 1e3 for ms in known if ms is not None and requests), None)

    requests, rate = int(found.number(*at("http_reqs", "count"))), found.number(*at("http_reqs", "rate"))
    # A rate metric "passes" where it is true: of http_req_failed, the requests that failed.
    errors = int(found.perhaps(*at("http_req_failed", "passes")) or 0)
    return ImportedResult(
        tool="k6",
        requests=requests,
        rate_per_s=rate,
        duration_s=requests / rate if rate else 0.0,
        errors=errors,
        p50_us=us("med", "p(50)"),
        p90_us=us("p(90)"),
        p99_us=us("p(99)"),
        max_us=us("max"),
        raw=text,
    )


def _k6_2(found: Reader) -> Reader:
    """The summary of 2.x in the shape of the one before: metrics are a list there, and p90 is what was p(90)."""
    listed = found.content["results"]["metrics"]
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise Invalid("This is not k6's JSON: results.metrics is no list of metrics.")
    metrics = {}
    for each in listed:
        values = each.get("values")
        if not isinstance(values, Mapping):
            raise Invalid(f"This is not k6's JSON: the metric {str(each.get('name'))[:40]!r} has no values.")
        old = {re.sub(r"^p(\d+(?:\.\d+)?)$", r"p(\1)", str(name)): value for name, value in values.items()}
        metrics[str(each.get("name"))] = {**old, "passes": values["matches"]} if "matches" in values else old
    return Reader(found.tool, {"metrics": metrics})


@dataclass(frozen=True, slots=True)
class Reader:
    """A tool's JSON, and the sentences for what is missing in it."""

    tool: str
    content: Mapping[str, Any]

    @classmethod
    def of(cls, tool: str, text: str) -> Reader:
        try:
            content = json.loads(text)
        except ValueError as error:
            raise Invalid(f"This is not {tool}'s JSON: {error}.") from None
        except RecursionError:
            raise Invalid(f"This is not {tool}'s JSON: it is nested too deep.") from None
        if not isinstance(content, Mapping):
            raise Invalid(f"This is not {tool}'s JSON: it is no object.")
        return cls(tool, content)

    def has(self, *path: str) -> bool:
        return self._at(path) is not None

    def number(self, *path: str) -> float:
        found = self.perhaps(*path)
        if found is None:
            raise Invalid(f"This is not {self.tool}'s JSON: {'.'.join(path)} is missing.")
        return found

    def perhaps(self, *path: str) -> float | None:
        """A number that may be missing or null; never NaN, infinite or negative."""
        found = self._at(path)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < MOST:
            said = f"{'.'.join(path)} is {repr(found)[:40]}, and no measured number"
            raise Invalid(f"This is not {self.tool}'s JSON: {said}.")
        return float(found)

    def counts(self, name: str) -> dict[str, int]:
        found = self._at((name,))
        if not isinstance(found, Mapping):
            raise Invalid(f"This is not {self.tool}'s JSON: {name} is missing.")
        return {key: int(self.number(name, key)) for key in found}

    def _at(self, path: tuple[str, ...]) -> Any:
        found: Any = self.content
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


READERS: dict[str, Callable[[str], ImportedResult]] = {"wrk": read_wrk, "oha": read_oha, "k6": read_k6}
