"""Stored runs that were never executed, for tests that only read the history."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from app.schemas.run import RunView
from app.store.runs import RunStore

PERCENTILES = {
    "count": 1000,
    "p50_us": 80.0,
    "p90_us": 90.0,
    "p99_us": 121.0,
    "p999_us": None,
    "max_us": 400.0,
    "mean_us": 82.0,
}
LEDGER = {
    "cpu_us": 12.5,
    "cpu_user_us": 4.5,
    "cpu_system_us": 8.0,
    "io_calls": 2.0,
    "syscalls": None,
    "voluntary_switches": 0.1,
    "involuntary_switches": 0.01,
    "run_queue_us": None,
    "wakeups": 0.5,
    "queue_wait_us": None,
    "threads_peak": 1,
    "rss_bytes_peak": 30_000_000,
    "anon_bytes_per_connection": None,
    "kernel_stack_bytes": None,
    "generator": {"cpu_us": 9.0, "utilisation": 0.5},
}
VIEW: dict[str, Any] = {
    "id": 1,
    "state": "finished",
    "progress": 1.0,
    "label": None,
    "scenario": "sprint",
    "title": "Sprint",
    "model": "reactor",
    "model_title": "Reactor",
    "engine": "reactor-1",
    "knobs": {"idle_s": 15},
    "plan": {"vus": 64, "executor": "constant-vus", "duration_s": 10.0, "warmup_s": 2.0},
    "plan_text": "64 connections",
    "placement": {"mode": "split"},
    "environment": {"kernel": "6.1", "load_average": 0.5},
    "summary": {
        "requests": 1000,
        "errors": {},
        "duration_s": 1.0,
        "offered_per_s": None,
        "achieved_per_s": 1000.5,
        "rate_ratio": None,
        "bytes_in": 1,
        "bytes_out": 1,
        "dropped": 0,
        "late": 0,
        "connections_peak": 64,
        "idle_connections_held": 0,
        "latency": {"service": PERCENTILES, "response": PERCENTILES},
        "by_kind": [],
    },
    "ledger": None,
    "verdict": {
        "name": "server_bound",
        "title": "Server bound",
        "rankable": True,
        "because": ["x"],
        "checks": [],
        "evidence": {},
    },
    "thresholds": [],
    "failure": None,
    "created_at": "2026-11-01T10:00:00.000Z",
    "finished_at": "2026-11-01T10:00:12.000Z",
}


def verdict(name: str, rankable: bool = False) -> dict[str, Any]:
    """Return a verdict as JSON."""
    return {**VIEW["verdict"], "name": name, "title": name, "rankable": rankable}


def stored_run(**changes: Any) -> RunView:
    """Return a finished run with these changes."""
    return TypeAdapter(RunView).validate_python(VIEW | changes)


def keep(data_dir: Path, *runs: Mapping[str, Any]) -> None:
    """Store runs with these changes, with ids from 1, in the history of a data directory."""
    with closing(RunStore(f"sqlite:///{data_dir / 'threadlab.sqlite3'}")) as store:
        for changes in runs:
            store.add(stored_run(**changes))
