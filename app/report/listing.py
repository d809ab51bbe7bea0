"""A list of runs as a file, made line by line: CSV with a row a run, one JSON array, or JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from app.report.csv import cell
from app.schemas.run import RunView

_VIEW = TypeAdapter(RunView)


@dataclass(frozen=True, slots=True)
class Format:
    """What makes the lines, and what they are."""

    media_type: str
    write: Callable[[Iterable[RunView]], Iterator[str]]


# The heads of the CSV, and where in a run's view their values stand.
COLUMNS = {
    "id": "id",
    "created_at": "created_at",
    "finished_at": "finished_at",
    "state": "state",
    "model": "model",
    "scenario": "scenario",
    "label": "label",
    "engine": "engine",
    "knobs": "knobs",
    "plan": "plan_text",
    "comparison": "comparison",
    "verdict": "verdict.name",
    "rankable": "verdict.rankable",
    "requests": "summary.requests",
    "errors": "summary.errors",
    "offered_per_s": "summary.offered_per_s",
    "achieved_per_s": "summary.achieved_per_s",
    "service_p50_us": "summary.latency.service.p50_us",
    "service_p99_us": "summary.latency.service.p99_us",
    "response_p50_us": "summary.latency.response.p50_us",
    "response_p99_us": "summary.latency.response.p99_us",
    "response_max_us": "summary.latency.response.max_us",
    "cpu_us_per_request": "ledger.cpu_us",
    "io_calls_per_request": "ledger.io_calls",
    "threads_peak": "ledger.threads_peak",
    "rss_bytes_peak": "ledger.rss_bytes_peak",
    "failure": "failure",
}


def _at(view: RunView, path: str) -> Any:
    """What stands there; None where something on the way is not known. Knobs as `name=value`, errors as their sum."""
    value: Any = view
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    if path == "knobs":
        return " ".join(f"{name}={each}" for name, each in value.items())
    return sum(value.values()) if isinstance(value, Mapping) else value


def _csv(views: Iterable[RunView]) -> Iterator[str]:
    yield _line(COLUMNS)
    for view in views:
        yield _line(_at(view, path) for path in COLUMNS.values())


def _line(values: Iterable[object]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(map(cell, values))
    return file.getvalue()


def _json(views: Iterable[RunView]) -> Iterator[str]:
    before = "["
    for view in views:
        yield before + _VIEW.dump_json(view).decode()
        before = ",\n"
    yield "[]\n" if before == "[" else "]\n"


def _json_lines(views: Iterable[RunView]) -> Iterator[str]:
    for view in views:
        yield _VIEW.dump_json(view).decode() + "\n"


FORMATS = {
    "csv": Format("text/csv", _csv),
    "json": Format("application/json", _json),
    "jsonl": Format("application/x-ndjson", _json_lines),
}
