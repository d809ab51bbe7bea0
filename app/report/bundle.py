"""Writes the bundle: one JSON document with all stored data of a run.

`run`, `series` and `percentiles` equal the API's responses of these names. `histogram_log` is the
HdrHistogram interval log. `outcome` is the load generator's result, with histograms of both times for each
work kind and second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from app.schemas.run import RunView

FORMAT = "threadlab-run"
SCHEMA = 2  # incremented when a field is removed or changes its meaning, not when one is added
_VIEW = TypeAdapter(RunView)


def write(
    view: RunView,
    series: Mapping[str, Any],
    percentiles: Mapping[str, Any] | None,
    histogram_log: str | None,
    outcome: Mapping[str, Any] | None,
) -> str:
    """Return the JSON document. Parts that the run does not have are null."""
    return json.dumps(
        {
            "format": FORMAT,
            "schema": SCHEMA,
            "run": _VIEW.dump_python(view, mode="json"),
            "series": series,
            "percentiles": percentiles,
            "histogram_log": histogram_log,
            "outcome": outcome,
        }
    )
