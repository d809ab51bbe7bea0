"""The figures of a part of a run."""

from __future__ import annotations

from dataclasses import dataclass

from app.schemas.result import Latency


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What happened in whole seconds of a run.

    from_s, to_s: seconds from the start of the warm-up. length_s: the length of these seconds together.
    phases: `warmup`, `measure` or both. errors: failed requests and connections. offered_per_s: None in a
    closed loop. latency: of the requests that finished in these seconds, without `corrected`. cpu_percent:
    mean CPU use of the engine in percent of one core. Values of the engine are None if it was not sampled in
    each second.
    """

    from_s: float
    to_s: float
    length_s: float
    phases: tuple[str, ...]
    requests: int
    errors: int
    achieved_per_s: float
    offered_per_s: float | None
    latency: Latency
    cpu_percent: float | None
    rss_bytes_max: int | None
    threads_max: int | None
    connections_max: int | None
