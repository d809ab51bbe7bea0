"""An engine, its threads and its newest sample, as pages, API and command line show them."""

from __future__ import annotations

from dataclasses import dataclass

from app.schemas.states import EngineState


@dataclass(frozen=True, slots=True)
class ExitView:
    """How an engine ended."""

    code: int | None  # None: a signal ended it
    signal: str | None  # "SIGKILL"
    reason: str  # one sentence
    stderr: tuple[str, ...]  # the last lines


@dataclass(frozen=True, slots=True)
class EngineView:
    """An engine: model, state, address, process and knobs. None: not known, or no process is alive.

    Of an external server, `model` and `server` are both its name; `server` is None for a model of the lab.
    """

    id: str
    model: str
    state: EngineState
    host: str
    port: int | None
    url: str | None
    pid: int | None
    knobs: dict[str, int | str]
    cpus: tuple[int, ...] | None
    python: str | None
    gil: bool | None
    started_at: str
    uptime_s: float | None
    exit: ExitView | None
    detail: str | None = None  # why it is degraded, or what it waits for
    server: str | None = None
    thread_model: str | None = None  # the model that it has, also of an external server
    version: str | None = None  # of an external server


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread of an engine at the newest sample. `slot` is its row on the metrics board."""

    slot: int
    generation: int
    pid: int
    tid: int
    role: str
    index: int
    state: str
    connections: int | None
    cpu_percent: float | None
    run_queue_wait_us: float | None
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class SampleView:
    """The newest sample of an engine.

    Rates cover the last second, `cpu_percent` the last sampling interval; both are None after a single
    sample. Of an external server, everything that only a server itself can count is None or empty.
    """

    engine: str
    t_s: float
    requests: int | None
    requests_per_s: float | None
    errors: int | None
    connections: dict[str, int]
    connections_total: int | None
    threads: tuple[ThreadView, ...]
    thread_count: int
    cpu_percent: float | None
    rss_bytes: int | None
    io_calls: int | None
    queue_depth: int | None
    queue_high_water: int | None
    accept_pauses: int | None
    counters: dict[str, int]
