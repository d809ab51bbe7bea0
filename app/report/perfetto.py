"""Writes a run as a Chrome trace for ui.perfetto.dev and chrome://tracing: thread states, requests, counters.

Every state change is an event, so that single requests are visible at high zoom. Times are µs since the
start of the trace, with a resolution of 1 ns. Without a recording, the file has counters only and says so in
`otherData`.

Format: "Trace Event Format", JSON object format, by the Chromium project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.schemas.run import RunView
from app.trace.recording import RecordedLane, Recording
from engines.common.board.board import THREAD_STATES

COUNTER_PID = 1  # the process id of counters and marks
# column of the series → (track, name of its value)
COUNTERS = {
    "offered_per_s": ("rate (req/s)", "offered"),
    "achieved_per_s": ("rate (req/s)", "achieved"),
    "connections": ("connections", "held"),
    "queue_depth": ("queue depth", "requests"),
    "cpu_percent": ("engine CPU (%)", "all threads"),
    "rss_bytes": ("engine RSS (MiB)", "resident"),
}
MIB = 2**20
NOT_TRACED = "The run was not traced: counters only."
DELETED = "The recording of the threads was deleted: counters only."


def write(view: RunView, series: Mapping[str, Any], recording: Recording | None) -> str:
    """Return the trace, one event per line. `recording`: of the threads' states, None if there is none."""
    started_ns = series.get("started_ns") or (recording.from_ns if recording else 0)
    zero_ns = min(started_ns, recording.from_ns) if recording else started_ns
    offset_ns = started_ns - zero_ns
    events = [*_process_events(view), *_counters(series, offset_ns), *_marks(view, series, offset_ns)]
    lines = [json.dumps(event, separators=(",", ":")) for event in events]
    if recording:
        lines += _threads(view, recording, zero_ns)
        lines += _requests(recording, zero_ns)
    metadata, joined = json.dumps(_metadata(view, recording, zero_ns)), ",\n".join(lines)
    return f'{{"displayTimeUnit":"ms","otherData":{metadata},"traceEvents":[\n{joined}\n]}}\n'


def _metadata(view: RunView, recording: Recording | None, zero_ns: int) -> dict[str, Any]:
    """Return `otherData`: the run, and what is missing in the trace."""
    found: dict[str, Any] = {"run": view.id, "title": view.title, "model": view.model, "engine": view.engine}
    found |= {"plan": view.plan_text, "trace": "Every state change.", "lost": 0}
    if recording is None:
        return found | {"trace": DELETED if view.plan.get("trace") else NOT_TRACED}
    found |= {"lost": recording.lost, "clock": "CLOCK_MONOTONIC", "zero_ns": zero_ns}
    if recording.cuts:
        spans = [f"from {(a - zero_ns) / 1e9:.3f} to {(b - zero_ns) / 1e9:.3f} s" for a, b in recording.cuts]
        found["cut"] = f"The recording was full: it has no thread states {' and '.join(spans)}."
    if view.legs:
        found["only"] = f"Of this hot swap, only {view.engine} was recorded."
    if recording.untraced:
        found["untraced"] = f"Threads without a trace ring, not in this file: {recording.untraced:,}."
    return found


def _process_events(view: RunView) -> Iterator[dict[str, Any]]:
    yield {
        "ph": "M",
        "name": "process_name",
        "pid": COUNTER_PID,
        "tid": 0,
        "args": {"name": f"run {view.id}: {view.title}"},
    }
    yield {"ph": "M", "name": "process_sort_index", "pid": COUNTER_PID, "tid": 0, "args": {"sort_index": 0}}


def _counters(series: Mapping[str, Any], offset_ns: int) -> Iterator[dict[str, Any]]:
    """Yield one event per known value, at the start of its second."""
    columns = {name: at for at, name in enumerate(series["columns"])}
    for row in series["rows"]:
        tracks: dict[str, dict[str, float]] = {}
        for column, (track, name) in COUNTERS.items():
            value = row[columns[column]] if column in columns else None
            if value is not None:
                tracks.setdefault(track, {})[name] = round(value / MIB, 2) if column == "rss_bytes" else value
        for track, values in tracks.items():
            ts = row[columns["t_s"]] * 1e6 + offset_ns / 1000
            yield {"ph": "C", "name": track, "pid": COUNTER_PID, "tid": 0, "ts": round(ts, 3), "args": values}


def _marks(view: RunView, series: Mapping[str, Any], offset_ns: int) -> Iterator[dict[str, Any]]:
    """Yield the marks of the run, and the start of each phase."""
    yield from (_mark(mark.text, mark.t_s, offset_ns) for mark in view.marks)
    columns = {name: at for at, name in enumerate(series["columns"])}
    previous = None
    for row in series["rows"]:
        phase = row[columns["phase"]]
        if phase != previous:
            yield _mark(f"{phase} starts", row[columns["t_s"]], offset_ns)
            previous = phase


def _mark(text: str, t_s: float, offset_ns: int) -> dict[str, Any]:
    ts = round(t_s * 1e6 + offset_ns / 1000, 3)
    return {"ph": "i", "s": "g", "name": text, "cat": "run", "pid": COUNTER_PID, "tid": 0, "ts": ts}


def _threads(view: RunView, recording: Recording, zero_ns: int) -> Iterator[str]:
    """Yield the names of processes and threads, and an event for each state of a thread."""
    lanes = sorted(recording.lanes.values(), key=lambda lane: (lane.slot, lane.generation))
    used: set[int] = set()
    for pid in dict.fromkeys(lane.pid for lane in lanes):
        yield _name("process_name", pid, 0, f"{view.engine} ({view.model})")
    for number, lane in enumerate(lanes):
        # A thread that ended before it was sampled has no tid; a tid may have been reused.
        tid = lane.tid if lane.tid and lane.tid not in used else 2**31 + number
        used.add(tid)
        yield _name("thread_name", lane.pid, tid, _title(lane))
        sort_index = {
            "ph": "M",
            "name": "thread_sort_index",
            "pid": lane.pid,
            "tid": tid,
            "args": {"sort_index": number},
        }
        yield json.dumps(sort_index)
        ids = f'"pid":{lane.pid},"tid":{tid}'
        for state, begin, end in lane.state_intervals(recording.to_ns):
            name, ts, dur = THREAD_STATES[state], (begin - zero_ns) / 1000, (end - begin) / 1000
            yield f'{{"ph":"X","name":"{name}","cat":"state","ts":{ts:.3f},"dur":{dur:.3f},{ids}}}'


def _requests(recording: Recording, zero_ns: int) -> Iterator[str]:
    """Yield two events for each request: when it was sent, and when it was answered."""
    number = 0
    for kind, times in recording.requests.items():
        name = json.dumps(kind)
        for sent_ns, answered_ns in times:
            ids = f'"cat":"request","id":{number},"name":{name},"pid":{COUNTER_PID},"tid":0'
            yield f'{{"ph":"b",{ids},"ts":{(sent_ns - zero_ns) / 1000:.3f}}}'
            yield f'{{"ph":"e",{ids},"ts":{(answered_ns - zero_ns) / 1000:.3f}}}'
            number += 1


def _name(what: str, pid: int, tid: int, name: str) -> str:
    return json.dumps({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}})


def _title(lane: RecordedLane) -> str:
    if lane.role == "connection":
        return f"connection, slot {lane.slot} no. {lane.generation}"
    return f"{lane.role} {lane.index + 1}"
