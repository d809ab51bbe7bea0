"""The hub builds each frame once and offers it to every viewer, which sends it at its own pace.

A viewer has a slot for one frame (the newest replaces an unsent one) and a bounded queue for events, which
are never
dropped: a viewer that does not keep up with events is disconnected, and gets the current state when it
reconnects.
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
from app.live import messages
from app.live.frame import EngineFrame, Frame, compact_json
from app.live.grid import ConnectionGrid
from app.live.job import Job, current_job
from app.live.lanes import encode_lanes
from app.live.loop_lag import LoopLag
from app.live.thread_stalls import ThreadStalls
from app.live.unread import UnreadCounts
from app.live.viewer import Viewer
from app.machine.scheduling import batch_policy
from app.metrics import Metrics

# A frame costs some milliseconds of CPU in lab and browser, so there are fewer while a run is measured that
# can be ranked.
INTERVAL_DURING_RUN_S = 0.5
JOB_INTERVAL_S = 1.0
VIEWERS_MAX = 128
VIEWERS_PER_ADDRESS_MAX = 64
IS_REACHED = "is reached. Close one, and this page connects."


class Hub:
    """All viewers of one lab. Event loop only."""

    def __init__(self, lab: Lab, metrics: Metrics) -> None:
        self._lab = lab
        self._metrics = metrics
        self._viewers: set[Viewer] = set()
        self._seq = 0
        self._unread = UnreadCounts()
        self._grids: dict[str, ConnectionGrid] = {}  # by engine id
        self._loop_lags: dict[str, LoopLag] = {}  # by engine id
        self._stalls: dict[str, ThreadStalls] = {}  # by engine id
        self._job: Job | None = None
        self._next_job_s = 0.0
        lab.events.subscribe(self._on_event)

    def join(self, address: str) -> Viewer:
        """Add a viewer of a page at this client address. Raises Busy at a limit."""
        if len(self._viewers) >= VIEWERS_MAX:
            raise Busy(f"The limit of {VIEWERS_MAX} live pages {IS_REACHED}")
        if sum(viewer.address == address for viewer in self._viewers) >= VIEWERS_PER_ADDRESS_MAX:
            raise Busy(f"The limit of {VIEWERS_PER_ADDRESS_MAX} live pages from {address} {IS_REACHED}")
        viewer = Viewer(address)
        self._viewers.add(viewer)
        self._next_job_s = 0.0
        self._update_job(time.monotonic())
        viewer.offer_job(self._job_text())
        self._metrics.viewers.set(len(self._viewers))
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer, if it is there."""
        self._viewers.discard(viewer)
        self._metrics.viewers.set(len(self._viewers))

    def hello(self) -> dict[str, Any]:
        """Return the first message to a viewer."""
        return messages.hello(self._lab.settings.sample_interval_ms, self._lab.events.last_id)

    async def run(self) -> None:
        """Build a frame each interval, if a viewer is due. Never returns."""
        due_s = time.monotonic()
        while True:
            # After a delay the next frame comes one interval later: there is no burst to catch up.
            due_s = max(due_s + self._interval_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            now_ns = time.monotonic_ns()
            self._metrics.loop_lag.observe(max(0.0, now_ns / 1e9 - due_s))
            self._update_engines(now_ns)
            self._update_job(now_ns / 1e9)
            if due := [viewer for viewer in self._viewers if viewer.is_due(now_ns / 1e9)]:
                with self._metrics.frame_build.time():
                    frame = self._build_frame(due, now_ns)
                for viewer in due:
                    viewer.offer(frame, now_ns / 1e9)

    @property
    def _interval_s(self) -> float:
        sample_interval_s = self._lab.settings.sample_interval_ms / 1000
        run = self._lab.runs.current()
        is_measuring = run is not None and not run.view.beside  # concurrent runs are never ranked
        return max(sample_interval_s, INTERVAL_DURING_RUN_S) if is_measuring else sample_interval_s

    def _update_engines(self, now_ns: int) -> None:
        """Trace the engines whose lanes a viewer shows, and forget removed engines."""
        for id, engine in self._lab.fleet.engines.items():
            if engine.tracing:
                is_shown = any(v.wants(id, "trace") for v in self._viewers if not v.paused)
                engine.tracing.set_watched(engine.alive and is_shown, now_ns)
        for by_engine in (self._grids, self._loop_lags, self._stalls):
            for id in [id for id in by_engine if id not in self._lab.fleet.engines]:
                del by_engine[id]
                self._unread.forget(id)

    def _update_job(self, now_s: float) -> None:
        """Send the job in progress to all viewers, hidden pages too, if its percentage has changed."""
        if not self._viewers or now_s < self._next_job_s:
            return
        self._next_job_s = now_s + JOB_INTERVAL_S
        job = current_job(self._lab)
        if job == self._job:
            return
        self._job = job
        for viewer in self._viewers:
            viewer.offer_job(self._job_text())

    def _job_text(self) -> str:
        return compact_json({"type": "job", "job": asdict(self._job) if self._job else None})

    def _build_frame(self, due: list[Viewer], now_ns: int) -> Frame:
        self._seq += 1
        numbers = messages.engines(self._lab)
        batch_policy.yield_cpu()
        engines = {id: self._engine_frame(id, each, due, now_ns) for id, each in numbers.items()}
        batch_policy.yield_cpu()
        run = compact_json(messages.run(self._lab.runs.progress()))
        return Frame(self._seq, round(now_ns / 1e9, 4), engines, run)

    def _engine_frame(self, id: str, numbers: dict[str, Any], due: list[Viewer], now_ns: int) -> EngineFrame:
        """Return the numbers of an engine with the parts that a due viewer wants."""
        engine, sampler = self._lab.fleet.engines[id], self._lab.fleet.samplers[id]
        trace, lag_us = None, None
        if any(viewer.wants(id, "trace") for viewer in due):
            trace, lag_us = self._read_trace(engine, now_ns)
        frame = EngineFrame(compact_json({**numbers, "loop_lag_us": lag_us}), trace=trace)
        if any(viewer.wants(id, "threads") for viewer in due):
            stalls = self._stalls.get(id) if trace and sampler.last else None
            stalled_percent = stalls.percent(sampler.last.board.threads) if stalls and sampler.last else {}
            frame.threads = compact_json(messages.threads(sampler, stalled_percent))
            frame.samples = compact_json(messages.samples(sampler))
        board = engine.metrics_board
        if board and any(viewer.wants(id, "connections") for viewer in due):
            frame.unread = self._unread.of(engine, numbers["connections_total"], now_ns)
            frame.grid = self._grids.setdefault(id, ConnectionGrid()).advance(board.word_bytes())
        return frame

    def _read_trace(self, engine: Engine, now_ns: int) -> tuple[str | None, float | None]:
        """Return the lanes of an engine as JSON and its loop lag in µs; both None while it does not trace."""
        trace = engine.tracing.take_pending(now_ns) if engine.tracing else None
        sampler = self._lab.fleet.samplers[engine.id]
        last = sampler.last
        if trace is None or last is None or engine.metrics_board is None:
            return None, None
        loop_roles = {
            thread.slot: thread.role for thread in last.board.threads if thread.role != "connection"
        }
        lag_us = self._loop_lags.setdefault(engine.id, LoopLag()).longest_us(trace, loop_roles)
        self._stalls.setdefault(engine.id, ThreadStalls()).update(trace, sampler.thread_rates)
        return compact_json(encode_lanes(trace, engine.metrics_board.trace.rings)), lag_us

    def _on_event(self, _: Event) -> None:
        newest = self._lab.events.newest
        assert newest
        self._seq += 1
        text = json.dumps({"type": "event", "seq": self._seq, **asdict(newest)})
        for viewer in self._viewers:
            viewer.add_event(text)
