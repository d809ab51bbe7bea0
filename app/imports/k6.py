"""Parses the summary JSON of k6. Its times are in milliseconds.

Formats: `--summary-export`; the argument of `handleSummary` (the same numbers under "values"); the summary of
k6 2.x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.errors import Invalid
from app.imports.tool_json import ToolJson
from app.schemas.imported_result import ImportedResult


def read_k6(text: str) -> ImportedResult:
    """Return the result in a summary of k6. Raises Invalid if it is something else."""
    found = ToolJson.parse("k6", text)
    if found.has("results", "metrics"):
        found = _from_version_2(found)
    nested = found.has("metrics", "http_reqs", "values")

    def at(metric: str, name: str) -> tuple[str, ...]:
        return ("metrics", metric, "values", name) if nested else ("metrics", metric, name)

    def us(*names: str) -> float | None:
        known = (found.optional_number(*at("http_req_duration", name)) for name in names)
        return next((ms * 1e3 for ms in known if ms is not None and requests), None)

    requests, rate = int(found.number(*at("http_reqs", "count"))), found.number(*at("http_reqs", "rate"))
    # "passes" of a rate metric counts where it is true: for http_req_failed, the requests that failed.
    errors = int(found.optional_number(*at("http_req_failed", "passes")) or 0)
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


def _from_version_2(found: ToolJson) -> ToolJson:
    """Return a summary of k6 2.x in the older format.

    In 2.x, metrics are a list, p(90) is named p90, and passes is named matches.
    """
    listed = found.content["results"]["metrics"]
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise Invalid("Not valid k6 JSON: results.metrics is not a list of metrics.")
    metrics = {}
    for each in listed:
        values = each.get("values")
        if not isinstance(values, Mapping):
            raise Invalid(f"Not valid k6 JSON: the metric {str(each.get('name'))[:40]!r} has no values.")
        old = {re.sub(r"^p(\d+(?:\.\d+)?)$", r"p(\1)", str(name)): value for name, value in values.items()}
        metrics[str(each.get("name"))] = {**old, "passes": values["matches"]} if "matches" in values else old
    return ToolJson(found.tool, {"metrics": metrics})
