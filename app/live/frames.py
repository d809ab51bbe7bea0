"""Frames: the newest sample of everything, small. Built once for all viewers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from app.lab.engine import Engine
from app.lab.lab import Lab
from app.lab.run import Progress
from app.lab.sample import Sampler, cpu_percent
from engines.common.board import CONNECTION_STATES, REQUESTS_2XX, REQUESTS_5XX, THREAD_STATES
from engines.common.board_reader import ThreadReading

SCHEMA = 1
_STATES = CONNECTION_STATES[1:]  # without "closed"


def hello(interval_ms: int) -> dict[str, Any]:
    """The first message: what the integers in frames stand for."""
    return {
        "type": "hello", "schema": SCHEMA, "interval_ms": interval_ms,
        "thread_states": THREAD_STATES, "connection_states": CONNECTION_STATES,
    }  # fmt: skip


def engines(lab: Lab) -> dict[str, dict[str, Any]]:
    """The numbers of every living engine."""
    run = lab.runs.progress()
    return {
        id: _engine(engine, lab.fleet.samplers[id], run)
        for id, engine in lab.fleet.engines.items()
        if engine.alive and lab.fleet.samplers[id].last
    }


def threads(sampler: Sampler) -> list[list[Any]]:
    """[slot, generation, tid, role, index, state, connections, requests_per_s, cpu_percent] for each thread."""
    last, before = sampler.last, sampler.before
    if last is None:
        return []
    then = {(t.slot, t.generation): t for t in before.board.threads} if before else {}
    seconds = (last.at_ns - before.at_ns) / 1e9 if before else 0.0
    rows = []
    for now in last.board.threads:
        earlier = then.get((now.slot, now.generation))
        rate = (_requests(now) - _requests(earlier)) / seconds if earlier and seconds else None
        cpu = sampler.thread_cpu_percent(now.tid)
        rows.append(
            [
                now.slot,
                now.generation,
                now.tid,
                now.role,
                now.index,
                now.state,
                now.connections,
                _short(rate),
                _short(cpu),
            ]
        )
    return rows


def run(progress: Progress | None) -> dict[str, Any] | None:
    """The run in progress."""
    if progress is None:
        return None
    return {name: _short(value) if isinstance(value, float) else value for name, value in asdict(progress).items()}


def _engine(engine: Engine, sampler: Sampler, run: Progress | None) -> dict[str, Any]:
    last = sampler.last
    assert last
    board, process = last.board, last.process
    return {
        "model": engine.model.name,
        "state": engine.state,
        "requests_per_s": _short(sampler.requests_per_s),
        "requests": board.requests,
        "accepted": board.counters["accepted"],
        "errors": board.counters["requests_4xx"] + board.counters["requests_5xx"],
        "connections": [board.connections[state] for state in _STATES],
        "connections_total": sum(board.connections.values()),
        "thread_count": process.threads if process else None,
        "cpu_percent": _short(cpu_percent(sampler.before, last)),
        "rss_bytes": process.rss_bytes if process else None,
        "queue_depth": board.queue_depth,
        "uptime_s": engine.view().uptime_s,
        "p99_us": run.response_p99_us if run and run.engine == engine.id else None,
    }


def _requests(thread: ThreadReading) -> int:
    return sum(thread.counters[REQUESTS_2XX : REQUESTS_5XX + 1])


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 1 if abs(value) >= 10 else 3)
