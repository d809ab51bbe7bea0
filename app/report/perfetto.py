"""A run as a Chrome trace, which ui.perfetto.dev and chrome://tracing open: its threads' states, and its counters.

Every change of state is an event of its own, so that one can zoom in until single requests are seen. Times are µs
since the trace began, to the nanosecond. Without a recording there are counters only, and the file says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.schemas.run import RunView
from app.trace.recording import RecordedLane, Recording
from engines.common.board.board import THREAD_STATES

LAB = 1  # the "process" of counters and marks
# column of the series → (track, name of its value)
COUNTERS = {
    "offered_per_s": ("rate, requests/s", "offered"),
    "achieved_per_s": ("rate, requests/s", "achieved"),
    "connections": ("connections", "held"),
    "queue_depth": ("queue depth", "requests"),
    "cpu_percent": ("engine CPU, %", "all threads"),
    "rss_bytes": ("engine RSS, MiB", "resident"),
}
MIB = 2**20
NOT_TRACED = "The run was not traced: there are counters only."
NOT_KEPT = "What the threads did is not kept any more: there are counters only."


def write(view: RunView, series: Mapping[str, Any], recording: Recording | None) -> str:
    """The whole file: the JSON object format, one event a line."""
    started_ns = series.get("started_ns") or (recording.from_ns if recording else 0)
    zero_ns = min(started_ns, recording.from_ns) if recording else started_ns
    offset_ns = started_ns - zero_ns
    events = [*_heads(view), *_counters(series, offset_ns), *_marks(view, series, offset_ns)]
    lines = [json.dumps(event, separators=(",", ":")) for event in events]
    if recording:
        lines += _threads(view, recording, zero_ns)
    said, all_of_them = json.dumps(_said(view, recording, zero_ns)), ",\n".join(lines)
    return f'{{"displayTimeUnit":"ms","otherData":{said},"traceEvents":[\n{all_of_them}\n]}}\n'


def _said(view: RunView, recording: Recording | None, zero_ns: int) -> dict[str, Any]:
    """What one must know to believe it."""
    said: dict[str, Any] = {"run": view.id, "title": view.title, "model": view.model, "engine": view.engine}
    said |= {"plan": view.plan_text, "trace": "Every change of state.", "lost": 0}
    if recording is None:
        return said | {"trace": NOT_KEPT if view.plan.get("trace") else NOT_TRACED}
    said |= {"lost": recording.lost, "clock": "CLOCK_MONOTONIC", "zero_ns": zero_ns}
    if recording.cuts:
        spans = [f"from {(a - zero_ns) / 1e9:.3f} to {(b - zero_ns) / 1e9:.3f} s" for a, b in recording.cuts]
        said["cut"] = f"The recording was full: nothing of the threads was kept {' and '.join(spans)}."
    if view.legs:
        said["only"] = f"Of this relay only {view.engine} was recorded."
    if recording.untraced:
        said["untraced"] = f"Threads that had no ring, and are not in it: {recording.untraced:,}."
    return said


def _heads(view: RunView) -> Iterator[dict[str, Any]]:
    yield {
        "ph": "M",
        "name": "process_name",
        "pid": LAB,
        "tid": 0,
        "args": {"name": f"run {view.id}: {view.title}"},
    }
    yield {"ph": "M", "name": "process_sort_index", "pid": LAB, "tid": 0, "args": {"sort_index": 0}}


def _counters(series: Mapping[str, Any], offset_ns: int) -> Iterator[dict[str, Any]]:
    """A value holds from its second on; what is not known has no event."""
    columns = {name: at for at, name in enumerate(series["columns"])}
    for row in series["rows"]:
        tracks: dict[str, dict[str, float]] = {}
        for column, (track, name) in COUNTERS.items():
            value = row[columns[column]] if column in columns else None
            if value is not None:
                tracks.setdefault(track, {})[name] = round(value / MIB, 2) if column == "rss_bytes" else value
        for track, values in tracks.items():
            ts = row[columns["t_s"]] * 1e6 + offset_ns / 1000
            yield {"ph": "C", "name": track, "pid": LAB, "tid": 0, "ts": round(ts, 3), "args": values}


def _marks(view: RunView, series: Mapping[str, Any], offset_ns: int) -> Iterator[dict[str, Any]]:
    """Where the run began, was warm, and ended; and what happened meanwhile."""
    yield from (_mark(mark.text, mark.t_s, offset_ns) for mark in view.marks)
    columns = {name: at for at, name in enumerate(series["columns"])}
    before = None
    for row in series["rows"]:
        phase = row[columns["phase"]]
        if phase != before:
            yield _mark(f"{phase} begins", row[columns["t_s"]], offset_ns)
            before = phase


def _mark(text: str, t_s: float, offset_ns: int) -> dict[str, Any]:
    ts = round(t_s * 1e6 + offset_ns / 1000, 3)
    return {"ph": "i", "s": "g", "name": text, "cat": "run", "pid": LAB, "tid": 0, "ts": ts}


def _threads(view: RunView, recording: Recording, zero_ns: int) -> Iterator[str]:
    """Processes and threads by what they are, and their states."""
    lanes = sorted(recording.lanes.values(), key=lambda lane: (lane.slot, lane.generation))
    taken: set[int] = set()
    for pid in dict.fromkeys(lane.pid for lane in lanes):
        yield _name("process_name", pid, 0, f"{view.engine} ({view.model})")
    for number, lane in enumerate(lanes):
        tid = lane.tid if lane.tid and lane.tid not in taken else 2**31 + number  # ended before it was named
        taken.add(tid)
        yield _name("thread_name", lane.pid, tid, _title(lane))
        order = {
            "ph": "M",
            "name": "thread_sort_index",
            "pid": lane.pid,
            "tid": tid,
            "args": {"sort_index": number},
        }
        yield json.dumps(order)
        where = f'"pid":{lane.pid},"tid":{tid}'
        for state, begin, end in lane.state_intervals(recording.to_ns):
            at, took = (begin - zero_ns) / 1000, (end - begin) / 1000
            yield f'{{"ph":"X","name":"{THREAD_STATES[state]}","cat":"state","ts":{at:.3f},"dur":{took:.3f},{where}}}'


def _name(what: str, pid: int, tid: int, name: str) -> str:
    return json.dumps({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}})


def _title(lane: RecordedLane) -> str:
    if lane.role == "connection":
        return f"connection, slot {lane.slot} no. {lane.generation}"
    return f"{lane.role} {lane.index + 1}"
