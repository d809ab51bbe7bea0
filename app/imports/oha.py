"""Parses the JSON output of oha (`--output-format json`, or `--json`). Its times are in seconds."""

from __future__ import annotations

from app.imports.tool_json import ToolJson
from app.schemas.imported_result import ImportedResult

# Requests in flight at the end of the run. Every timed run of oha ends so; they are not errors.
_ABORTED = "aborted due to deadline"


def read_oha(text: str) -> ImportedResult:
    """Return the result in the output of oha. Raises Invalid if it is something else."""
    found = ToolJson.parse("oha", text)
    duration_s = found.number("summary", "total")
    by_status, by_error = found.counts("statusCodeDistribution"), found.counts("errorDistribution")
    requests = sum(by_status.values())
    errors = sum(n for status, n in by_status.items() if not status.startswith(("2", "3")))
    errors += sum(n for error, n in by_error.items() if error != _ABORTED)

    def us(*path: str) -> float | None:
        seconds = found.optional_number(*path)
        return seconds * 1e6 if seconds is not None and requests else None

    return ImportedResult(
        tool="oha",
        requests=requests,
        # oha's own requestsPerSec also counts the aborted requests.
        rate_per_s=requests / duration_s if duration_s else 0.0,
        duration_s=duration_s,
        errors=errors,
        p50_us=us("latencyPercentiles", "p50"),
        p90_us=us("latencyPercentiles", "p90"),
        p99_us=us("latencyPercentiles", "p99"),
        max_us=us("summary", "slowest"),
        raw=text,
    )
