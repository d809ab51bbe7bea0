"""The hub: builds each frame once, and lets every viewer have the newest at its own pace.

A viewer has one slot for a frame (newest wins) and a small bounded queue for events, which are never conflated:
one that cannot keep up with events is let go, and comes back to a fresh state.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import Any

from app.errors import Busy
from app.events import Event
from app.fleet.engine import Engine
from app.lab import Lab
from app.live import frames
from app.live.frame import Frame, Part, compact
from app.live.grid import Grid
from app.live.lanes import Rounds, lanes
from app.live.viewer import Viewer
from app.machine import scheduling
from app.metrics import Metrics

# A frame costs lab, browser and whoever shares their CPUs some milliseconds: while a run is measured there are fewer.
WHILE_MEASURING_S = 0.5
VIEWERS_MAX = 128
VIEWERS_OF_ADDRESS_MAX = 64
ARE_OPEN = "are open already. Close one, and this page connects."


class Hub:
    """All viewers of one lab."""

    def __init__(self, lab: Lab, metrics: Metrics) -> None:
        self._lab = lab
        self._metrics = metrics
        self._viewers: set[Viewer] = set()
        self._seq = 0
        self._grids: dict[str, Grid] = {}
        self._rounds: dict[str, Rounds] = {}
        lab.events.subscribe(self._event)

    def join(self, address: str) -> Viewer:
        """A viewer more, of a page at `address`. Raises Busy where there are too many."""
        if len(self._viewers) >= VIEWERS_MAX:
            raise Busy(f"{VIEWERS_MAX} live pages of this lab {ARE_OPEN}")
        if sum(viewer.address == address for viewer in self._viewers) >= VIEWERS_OF_ADDRESS_MAX:
            raise Busy(f"{VIEWERS_OF_ADDRESS_MAX} live pages from {address} {ARE_OPEN}")
        viewer = Viewer(address)
        self._viewers.add(viewer)
        self._metrics.viewers.set(len(self._viewers))
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        self._metrics.viewers.set(len(self._viewers))

    def hello(self) -> dict[str, Any]:
        return frames.hello(self._lab.settings.sample_interval_ms, self._lab.events.last_id)

    async def run(self) -> None:
        """Build a frame each interval, while somebody looks."""
        due_s = time.monotonic()
        while True:
            due_s = max(
                due_s + self._interval_s, time.monotonic()
            )  # after a hold-up, no burst to make up for it
            await asyncio.sleep(due_s - time.monotonic())
            now_ns = time.monotonic_ns()
            self._metrics.loop_lag.observe(max(0.0, now_ns / 1e9 - due_s))
            self._watch(now_ns)
            if due := [viewer for viewer in self._viewers if viewer.is_due(now_ns / 1e9)]:
                with self._metrics.frame_build.time():
                    frame = self._build(due, now_ns)
                for viewer in due:
                    viewer.offer(frame, now_ns / 1e9)

    @property
    def _interval_s(self) -> float:
        every_sample_s = self._lab.settings.sample_interval_ms / 1000
        return max(every_sample_s, WHILE_MEASURING_S) if self._lab.runs.current() else every_sample_s

    def _watch(self, now_ns: int) -> None:
        """Let those engines trace whose lanes somebody watches, and no others."""
        for id, engine in self._lab.fleet.engines.items():
            if engine.tracing:
                watched = engine.alive and any(v.sees(id, "trace") for v in self._viewers if not v.paused)
                engine.tracing.set_watched(watched, now_ns)
        for kept in (self._grids, self._rounds):
            for id in [id for id in kept if id not in self._lab.fleet.engines]:
                del kept[id]

    def _build(self, due: list[Viewer], now_ns: int) -> Frame:
        self._seq += 1
        numbers = frames.engines(self._lab)
        scheduling.yield_cpu()
        parts = {id: self._part(id, each, due, now_ns) for id, each in numbers.items()}
        scheduling.yield_cpu()
        return Frame(self._seq, round(now_ns / 1e9, 4), parts, compact(frames.run(self._lab.runs.progress())))

    def _part(self, id: str, numbers: dict[str, Any], due: list[Viewer], now_ns: int) -> Part:
        engine, sampler = self._lab.fleet.engines[id], self._lab.fleet.samplers[id]
        trace, lag_us = self._trace(engine, now_ns) if any(v.sees(id, "trace") for v in due) else (None, None)
        part = Part(compact({**numbers, "loop_lag_us": lag_us}), trace=trace)
        if any(v.sees(id, "threads") for v in due):
            part.threads = compact(frames.threads(sampler))
            part.samples = compact(frames.samples(sampler))
        if engine.board and any(v.sees(id, "connections") for v in due):
            part.grid = self._grids.setdefault(id, Grid()).step(engine.board.word_bytes())
        return part

    def _trace(self, engine: Engine, now_ns: int) -> tuple[str | None, float | None]:
        """Its lanes as text, and its loop lag; neither while it does not trace."""
        trace = engine.tracing.take_pending(now_ns) if engine.tracing else None
        last = self._lab.fleet.samplers[engine.id].last
        if trace is None or last is None or engine.board is None:
            return None, None
        loops = {thread.slot: thread.role for thread in last.board.threads if thread.role != "connection"}
        lag_us = self._rounds.setdefault(engine.id, Rounds()).longest_us(trace, loops)
        return compact(lanes(trace, engine.board.trace.rings)), lag_us

    def _event(self, _: Event) -> None:
        newest = self._lab.events.newest
        assert newest
        self._seq += 1
        text = json.dumps({"type": "event", "seq": self._seq, **asdict(newest)})
        for viewer in self._viewers:
            viewer.tell(text)
