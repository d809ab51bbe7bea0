"""The content of live messages: hello, and the newest sample of each engine, rounded (docs/live.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.fleet.board import ThreadState
from app.fleet.engine import Engine
from app.fleet.sampler import Sampler, cpu_percent
from app.lab import Lab
from app.runs.progress import Progress
from app.servers.kernel_states import STATE_NAMES
from engines.common.board.board import (
    CONNECTION_STATES,
    REQUESTS_2XX,
    REQUESTS_4XX,
    REQUESTS_5XX,
)
from engines.common.board.trace_reader import UNKNOWN

SCHEMA = 1
_OPEN_STATES = CONNECTION_STATES[1:]
THREAD_FIELDS = (
    "slot",
    "generation",
    "tid",
    "role",
    "index",
    "state",
    "connections",
    "requests_per_s",
    "cpu_percent",
    "run_queue_us_per_s",
    "switches_per_s",
    "stalled_percent",
)
LANE_FIELDS = ("slot", "generation", "start_state", "lost", "transitions", "slices")
WORD = {"state": [0, 8], "generation": [8, 8], "owner": [16, 16]}  # lowest bit, number of bits


def hello(interval_ms: int, last_event: int) -> dict[str, Any]:
    """Return the first message, which explains the integers in frames.

    last_event: id of the newest event.
    """
    return {
        "type": "hello",
        "schema": SCHEMA,
        "interval_ms": interval_ms,
        "thread_states": STATE_NAMES,
        "connection_states": CONNECTION_STATES,
        "unknown_state": UNKNOWN,
        "thread_fields": THREAD_FIELDS,
        "lane_fields": LANE_FIELDS,
        "word": WORD,
        "last_event": last_event,
    }


def engines(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the numbers of every live engine by its id."""
    runs = {progress.engine: progress for progress in lab.runs.progresses()}
    return {
        id: _engine(engine, lab.fleet.samplers[id], runs.get(id))
        for id, engine in lab.fleet.engines.items()
        if engine.alive and lab.fleet.samplers[id].last
    }


def threads(sampler: Sampler, stalled_percent: Mapping[tuple[int, int], float]) -> list[list[Any]]:
    """Return a row for each thread with the columns THREAD_FIELDS.

    stalled_percent: by slot and generation of those threads for which it is known.
    """
    last, previous = sampler.last, sampler.previous
    if last is None:
        return []
    earlier = {(t.slot, t.generation): t for t in previous.board.threads} if previous else {}
    seconds = (last.at_ns - previous.at_ns) / 1e9 if previous else 0.0
    return [
        [*_thread(thread, earlier.get(key), seconds, sampler), _round(stalled_percent.get(key))]
        for thread in last.board.threads
        for key in ((thread.slot, thread.generation),)
    ]


def samples(sampler: Sampler) -> list[list[Any]]:
    """Return (µs, thread states by slot) of the samples since the last frame, without the newest sample."""
    states_since_frame = list(sampler.unsent_states)[:-1]
    sampler.unsent_states.clear()
    return [[at_ns // 1000, states] for at_ns, states in states_since_frame]


def run(progress: Progress | None) -> dict[str, Any] | None:
    """Return the progress of the run in progress; None if there is none."""
    return rounded(asdict(progress)) if progress else None


def rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the dictionary with its floats rounded: to 0.1 from 10 on, else to 0.001."""
    return {name: _round(value) if isinstance(value, float) else value for name, value in numbers.items()}


def _engine(engine: Engine, sampler: Sampler, run: Progress | None) -> dict[str, Any]:
    last = sampler.last
    assert last
    board, process = last.board, last.process
    # Nothing counts in an external server, so under load it is the load generator's count.
    loaded_per_s = run.achieved_per_s if run and engine.is_external else None
    return {
        "model": engine.name,
        "server": engine.name if engine.is_external else None,
        "thread_model": engine.thread_model or None,
        "state": engine.state,
        "requests_per_s": _round(sampler.requests_per_s if loaded_per_s is None else loaded_per_s),
        "requests": board.requests,
        "accepted": board.counters.get("accepted"),
        "errors": board.errors,
        "connections": [board.connections.get(state) for state in _OPEN_STATES],
        "connections_total": board.connections_total,
        "thread_count": process.threads if process else None,
        "cpu_percent": _round(cpu_percent(sampler.previous, last)),
        "cpu_percent_by_role": rounded(sampler.cpu_percent_by_role),
        "rss_bytes": process.rss_bytes if process else None,
        "queue_depth": board.queue_depth,
        "uptime_s": engine.view().uptime_s,
        "p99_us": run.response_p99_us if run else None,
        "tracing": engine.tracing.state if engine.tracing else None,
        **rounded(asdict(sampler.request_cost(loaded_per_s))),
    }


def _thread(now: ThreadState, earlier: ThreadState | None, seconds: float, sampler: Sampler) -> list[Any]:
    rates = sampler.thread_rates.get(now.tid)
    requests, before = _requests(now), _requests(earlier) if earlier else None
    is_known = requests is not None and before is not None and seconds
    requests_per_s = (requests - before) / seconds if is_known else None  # type: ignore[operator]
    cpu = (rates.cpu_percent, rates.run_queue_us_per_s, rates.switches_per_s) if rates else (None,) * 3
    return [
        now.slot,
        now.generation,
        now.tid,
        now.role,
        now.index,
        now.state,
        now.connections,
        _round(requests_per_s),
        *map(_round, cpu),
    ]


def _requests(thread: ThreadState) -> int | None:
    """Return the responses of a thread; None if nothing counts them."""
    if not (counters := thread.counters):
        return None
    return counters[REQUESTS_2XX] + counters[REQUESTS_4XX] + counters[REQUESTS_5XX]


def _round(value: float | None) -> float | None:
    return round(value, 1 if abs(value) >= 10 else 3) if value else value
