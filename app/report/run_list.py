"""Writes a list of runs line by line: CSV with one row per run, one JSON array, or JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from app.report.series_csv import cell
from app.schemas.run import RunView

_VIEW = TypeAdapter(RunView)


@dataclass(frozen=True, slots=True)
class ListFormat:
    """A file format of a list of runs. `write` yields its text in parts."""

    media_type: str
    write: Callable[[Iterable[RunView]], Iterator[str]]


# CSV column → path of its value in a RunView.
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
    "jain": "summary.fairness.jain",
    "comment": "comment",
}


def _value(view: RunView, path: str) -> Any:
    """Return the value at a path; None if unknown. Knobs become `name=value`, errors their sum."""
    value: Any = view
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    if path == "knobs":
        return " ".join(f"{name}={each}" for name, each in value.items())
    return sum(value.values()) if isinstance(value, Mapping) else value


def _csv(views: Iterable[RunView]) -> Iterator[str]:
    yield _line(COLUMNS)
    for view in views:
        yield _line(_value(view, path) for path in COLUMNS.values())


def _line(values: Iterable[object]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(map(cell, values))
    return file.getvalue()


def _json(views: Iterable[RunView]) -> Iterator[str]:
    separator = "["
    for view in views:
        yield separator + _VIEW.dump_json(view).decode()
        separator = ",\n"
    yield "[]\n" if separator == "[" else "]\n"


def _json_lines(views: Iterable[RunView]) -> Iterator[str]:
    for view in views:
        yield _VIEW.dump_json(view).decode() + "\n"


CHUNK_LENGTH = 64 * 1024  # characters


def chunked(parts: Iterable[str]) -> Iterator[str]:
    """Join short parts of a text, so that a response does not cost a thread hand-off for each line."""
    chunk = io.StringIO()
    for part in parts:
        chunk.write(part)
        if chunk.tell() >= CHUNK_LENGTH:
            yield chunk.getvalue()
            chunk = io.StringIO()
    if chunk.tell():
        yield chunk.getvalue()


FORMATS = {
    "csv": ListFormat("text/csv", _csv),
    "json": ListFormat("application/json", _json),
    "jsonl": ListFormat("application/x-ndjson", _json_lines),
}
