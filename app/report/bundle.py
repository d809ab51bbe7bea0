"""The bundle: one JSON with everything that is kept of a run, so that another program needs nothing else of the lab.

`run`, `series` and `percentiles` are what the API gives under these names; `histogram_log` is the HdrHistogram interval
log; `outcome` is the generator's own words, with the histograms of both clocks for each kind of work and each second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from app.schemas.run import RunView

FORMAT, SCHEMA = (
    "threadlab-run",
    2,
)  # the number grows when a name goes or changes its meaning, not when one is added
_VIEW = TypeAdapter(RunView)


def write(
    view: RunView,
    series: Mapping[str, Any],
    percentiles: Mapping[str, Any] | None,
    histogram_log: str | None,
    outcome: Mapping[str, Any] | None,
) -> str:
    """The document, as text; null is what the run does not have."""
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
