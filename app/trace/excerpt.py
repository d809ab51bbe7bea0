"""Cuts a short excerpt out of a recording, in which single requests can be seen. Pure.

The window is about a slow request, if there is one: a handler that takes at least SLOW_FACTOR times as long
as usual. Otherwise it is in the middle of the recording, and as long as SPANS_SHOWN spans of the busiest
thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from app.schemas.excerpt import RequestSpan, ThreadLane, ThreadSpan, TraceExcerpt
from app.schemas.run import RunView
from app.trace.recording import RecordedLane, Recording
from engines.common.board.board import BLOCKED, HANDLING, IDLE_STATES, QUEUE, THREAD_STATES

SLOW_MIN_NS, SLOW_FACTOR = 5_000_000, 10
SLOW_BEGINS, SLOW_WINDOWS = 0.28, 2.3  # of the window; windows per length of the slow handler
SPANS_SHOWN = 40
WINDOW_MIN_NS, WINDOW_MAX_NS = 200_000, 1_000_000_000
LANES_MAX, REQUESTS_MAX = 12, 2_000
CANDIDATES_MAX = 100  # slow handlers to choose from: comparing all with all would take minutes


@dataclass(frozen=True, slots=True)
class Span:
    """A thread in one state, in ns. `slow`: a slow handler."""

    from_ns: int
    to_ns: int
    state: int
    slow: bool = False

    @property
    def length_ns(self) -> int:
        return self.to_ns - self.from_ns


@dataclass(frozen=True, slots=True)
class Window:
    """What an excerpt shows, in ns. `slow`: the slow span that it is about; None: it is about none."""

    from_ns: int
    to_ns: int
    slow: Span | None

    @property
    def length_ns(self) -> int:
        return self.to_ns - self.from_ns


def spans_of(lane: RecordedLane, until_ns: int) -> list[Span]:
    """Return the spans of a thread that are not idle; what a handler does in a row is one span."""
    spans: list[Span] = []
    for state, from_ns, to_ns in lane.state_intervals(until_ns):
        last = spans[-1] if spans else None
        if state in IDLE_STATES:
            continue
        if last and last.to_ns == from_ns and {last.state, state} == {HANDLING, BLOCKED}:
            longer = state if to_ns - from_ns > last.length_ns else last.state
            spans[-1] = Span(last.from_ns, to_ns, longer)
        else:
            spans.append(Span(from_ns, to_ns, state))
    return spans


def mark_slow(threads: Sequence[list[Span]]) -> list[Span]:
    """Mark the slow handlers of all threads, and return them in the order of time."""
    handlers = [span for spans in threads for span in spans if span.state in (HANDLING, BLOCKED)]
    if not handlers:
        return []
    usual_ns = median(span.length_ns for span in handlers)
    least_ns = max(SLOW_MIN_NS, SLOW_FACTOR * usual_ns)
    found = []
    for spans in threads:
        for index, span in enumerate(spans):
            if span.state in (HANDLING, BLOCKED) and span.length_ns >= least_ns:
                spans[index] = Span(span.from_ns, span.to_ns, span.state, slow=True)
                found.append(spans[index])
    return sorted(found, key=lambda span: span.from_ns)


def choose_window(
    threads: Sequence[list[Span]], from_ns: int, to_ns: int, length_ns: int | None = None
) -> Window:
    """Return the window of an excerpt of [from_ns, to_ns). `length_ns`: its length; None: by its content."""
    marked, middle_ns = mark_slow(threads), (from_ns + to_ns) / 2
    slow = [
        window
        for window in (_about(span, length_ns) for span in marked)
        if from_ns <= window.from_ns and window.to_ns <= to_ns
    ]
    slow.sort(key=lambda window: abs(window.from_ns - middle_ns))
    if slow:
        # The fewest slow requests at once show most clearly what one does; of these, one in the middle.
        def others(window: Window) -> int:
            return sum(each.from_ns < window.to_ns and each.to_ns > window.from_ns for each in marked)

        return min(slow[:CANDIDATES_MAX], key=others)
    return _in_the_middle(threads, from_ns, to_ns, length_ns)


def _about(span: Span, length_ns: int | None) -> Window:
    length_ns = length_ns or _round_up(int(span.length_ns * SLOW_WINDOWS))
    begin_ns = span.from_ns - int(length_ns * SLOW_BEGINS)
    return Window(begin_ns, begin_ns + length_ns, span)


def _in_the_middle(threads: Sequence[list[Span]], from_ns: int, to_ns: int, length_ns: int | None) -> Window:
    whole_ns = max(1, to_ns - from_ns)
    busiest = max((len(_between(spans, from_ns, to_ns)) for spans in threads), default=0)
    wanted_ns = length_ns or _round_up(whole_ns * SPANS_SHOWN // max(busiest, SPANS_SHOWN))
    length_ns = min(whole_ns, max(WINDOW_MIN_NS, min(WINDOW_MAX_NS, wanted_ns)))
    begin_ns = from_ns + (whole_ns - length_ns) // 2
    return Window(begin_ns, begin_ns + length_ns, None)


def _round_up(length_ns: int) -> int:
    """Return the next length with one digit of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6 or 8."""
    power: int = 10 ** (len(str(max(1, length_ns))) - 1)
    for tenths in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100):
        if (rounded := power * tenths // 10) >= length_ns:
            return rounded
    return length_ns


def _between(spans: Iterable[Span], from_ns: int, to_ns: int) -> list[Span]:
    return [span for span in spans if span.from_ns < to_ns and span.to_ns > from_ns]


def thread_lanes(
    lanes: Sequence[RecordedLane], threads: Sequence[list[Span]], window: Window
) -> tuple[tuple[ThreadLane, ...], int]:
    """Return the busiest threads of a window in the order of the engine, and how many there are in all."""
    shown = [
        (lane, _between(spans, window.from_ns, window.to_ns))
        for lane, spans in zip(lanes, threads, strict=True)
        if _lives_in(lane, window)
    ]
    total = len(shown)
    if total > LANES_MAX:
        # A role with a single thread, such as the reactor, is never left out.
        roles = [lane.role for lane, _ in shown]
        shown.sort(key=lambda each: (roles.count(each[0].role) > 1, -_busy_ns(each[1], window)))
        shown = sorted(shown[:LANES_MAX], key=lambda each: (each[0].slot, each[0].generation))
    numbered = {role for role in (lane.role for lane in lanes) if _count(lanes, role) > 1}
    return tuple(_lane(lane, spans, window, lane.role in numbered) for lane, spans in shown), total


def _lives_in(lane: RecordedLane, window: Window) -> bool:
    return any(to_ns > window.from_ns for _, _, to_ns in _states(lane, window))


def _states(lane: RecordedLane, window: Window) -> Iterable[tuple[int, int, int]]:
    """Yield the states of a thread until the end of a window."""
    return (each for each in lane.state_intervals(window.to_ns) if each[1] < window.to_ns)


def _count(lanes: Sequence[RecordedLane], role: str) -> int:
    return sum(lane.role == role for lane in lanes)


def _busy_ns(spans: Iterable[Span], window: Window) -> int:
    return sum(min(span.to_ns, window.to_ns) - max(span.from_ns, window.from_ns) for span in spans)


def _lane(lane: RecordedLane, spans: Iterable[Span], window: Window, is_numbered: bool) -> ThreadLane:
    idle = {state for state, *_ in _states(lane, window)}
    return ThreadLane(
        name=f"{lane.role} {lane.index + 1}" if is_numbered else lane.role,
        role=lane.role,
        idle=THREAD_STATES[QUEUE] if QUEUE in idle else "waiting",
        spans=tuple(
            ThreadSpan(
                from_us=_us(span.from_ns, window),
                to_us=_us(span.to_ns, window),
                state=THREAD_STATES[span.state],
                slow=span.slow,
            )
            for span in spans
        ),
    )


def load_ends_ns(recording: Recording) -> int:
    """Return when the last recorded request was answered.

    The recording ends later: when the result of the load generator has arrived.
    """
    answers = (max(times.answered_ns) for times in recording.requests.values() if times)
    return min(recording.to_ns, max(answers, default=recording.to_ns))


def request_spans(recording: Recording, window: Window) -> tuple[RequestSpan, ...]:
    """Return the requests that are in flight in a window, in the order of their send."""
    found = [
        RequestSpan(_us(sent_ns, window), _us(answered_ns, window), kind)
        for kind, times in recording.requests.items()
        for sent_ns, answered_ns in times
        if sent_ns < window.to_ns and answered_ns > window.from_ns
    ]
    return tuple(sorted(found, key=lambda each: each.sent_us)[:REQUESTS_MAX])


def most_waiting(requests: Sequence[RequestSpan], window_us: float) -> int:
    """Return the most requests in flight at one instant of a window."""
    changes = [(each.sent_us, 1) for each in requests] + [(each.answered_us, -1) for each in requests]
    waiting = most = 0
    for at_us, change in sorted(changes):
        waiting += change
        if 0 <= at_us <= window_us:
            most = max(most, waiting)
    return most


def excerpt(
    recording: Recording, view: RunView, from_ns: int, window_us: float | None = None
) -> TraceExcerpt:
    """Return the excerpt of the recording of a run.

    `from_ns`: the start of the measured time, CLOCK_MONOTONIC. `window_us`: its length, so that it can be
    shown beside the excerpt of another run; None: a length that fits this one.
    """
    lanes = sorted(recording.lanes.values(), key=lambda lane: (lane.slot, lane.generation))
    threads = [spans_of(lane, recording.to_ns) for lane in lanes]
    length_ns = int(window_us * 1000) if window_us else None
    window = choose_window(threads, from_ns, load_ends_ns(recording), length_ns)
    shown, total = thread_lanes(lanes, threads, window)
    requests = request_spans(recording, window)
    return TraceExcerpt(
        run=view.id,
        model=view.model,
        title=view.title,
        begins_s=round((window.from_ns - from_ns) / 1e9, 6),
        window_us=window.length_ns / 1000,
        slow_us=_us(window.slow.from_ns, window) if window.slow else None,
        threads=shown,
        threads_total=total,
        requests=requests,
        waiting=most_waiting(requests, window.length_ns / 1000),
    )


def _us(at_ns: int, window: Window) -> float:
    return round((at_ns - window.from_ns) / 1000, 1)
