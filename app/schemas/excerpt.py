"""A part of a thread trace that is short enough to see single requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThreadSpan:
    """A thread in one state that is not idle. Times are µs from the start of the excerpt."""

    from_us: float
    to_us: float
    state: str
    slow: bool  # in the handler for much longer than usual


@dataclass(frozen=True, slots=True)
class ThreadLane:
    """One thread of the excerpt. `idle`: its state between the spans, waiting or queue."""

    name: str
    role: str
    idle: str
    spans: tuple[ThreadSpan, ...]


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """A request, from its send to the last byte of its response, as the load generator saw it.

    Times are µs from the start of the excerpt; they may lie outside of it.
    """

    sent_us: float
    answered_us: float
    kind: str


@dataclass(frozen=True, slots=True)
class TraceExcerpt:
    """The threads and requests of a traced run in a short window around a slow request, or in the middle.

    `begins_s`: when the window begins, from the start of the measured time. `slow_us`: when the slow request
    of the window begins; None: there is none. `waiting`: the most requests without an answer at one instant.
    `threads_total`: all threads of the window, of which the busiest are shown.
    """

    run: int
    model: str
    title: str
    begins_s: float
    window_us: float
    slow_us: float | None
    threads: tuple[ThreadLane, ...]
    threads_total: int
    requests: tuple[RequestSpan, ...]
    waiting: int
