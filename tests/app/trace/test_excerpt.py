"""Excerpts of recordings: the window, slow handlers, the threads and requests that are shown."""

from __future__ import annotations

from app.load.protocol.request_times import RequestTimes
from app.trace import excerpt as excerpts
from app.trace.excerpt import (
    choose_window,
    load_ends_ns,
    mark_slow,
    most_waiting,
    request_spans,
    spans_of,
    thread_lanes,
)
from app.trace.recording import RecordedLane, Recording
from engines.common.board.board import BLOCKED, HANDLING, QUEUE, READING, WAITING
from engines.common.board.trace_reader import STATE_BITS

MS = 1_000_000  # ns


def lane(*changes: tuple[float, int], role: str = "reactor", index: int = 0, slot: int = 0) -> RecordedLane:
    """Return a thread with these changes: (time in ms, new state)."""
    found = RecordedLane(slot, 1, role, index, pid=1, tid=slot + 1)
    found.changes.extend(int(ms * MS) << STATE_BITS | state for ms, state in changes)
    return found


def requests(
    count: int, every_ms: float, handler_ms: float = 0.2, from_ms: float = 0.0
) -> list[tuple[float, int]]:
    """Return the changes of a thread that handles requests at equal intervals."""
    changes: list[tuple[float, int]] = []
    for number in range(count):
        at_ms = from_ms + number * every_ms
        changes += [(at_ms, READING), (at_ms + 0.1, HANDLING), (at_ms + 0.1 + handler_ms, WAITING)]
    return changes


def recorded(*lanes: RecordedLane, to_ms: float) -> Recording:
    recording = Recording(0)
    recording.to_ns = int(to_ms * MS)
    recording.lanes = {(each.slot, each.generation): each for each in lanes}
    return recording


def test_a_handler_that_computes_and_waits_is_one_span() -> None:
    spans = spans_of(lane((0, READING), (1, HANDLING), (2, BLOCKED), (9, HANDLING), (10, WAITING)), 20 * MS)
    assert [(span.from_ns // MS, span.to_ns // MS, span.state) for span in spans] == [
        (0, 1, READING),
        (1, 10, BLOCKED),
    ]


def test_only_handlers_that_take_much_longer_than_usual_are_slow() -> None:
    usual = spans_of(lane(*requests(20, 1.0)), 100 * MS)
    assert mark_slow([usual]) == []
    slow = spans_of(lane(*requests(20, 1.0), *requests(1, 1.0, 50.0, from_ms=30)), 100 * MS)
    assert [(span.from_ns / MS, span.slow) for span in mark_slow([slow])] == [(30.1, True)]
    assert [span.slow for span in slow].count(True) == 1


def test_handlers_that_all_take_long_are_not_slow() -> None:
    assert mark_slow([spans_of(lane(*requests(20, 60.0, 50.0)), 2000 * MS)]) == []


def test_the_window_begins_before_the_slow_handler() -> None:
    changes = [*requests(100, 1.0), *requests(1, 1.0, 50.0, from_ms=100), *requests(100, 1.0, from_ms=151)]
    window = choose_window([spans_of(lane(*changes), 300 * MS)], 0, 300 * MS)
    assert window.length_ns == 120 * MS and window.slow
    assert window.slow.from_ns - window.from_ns == int(0.28 * 120 * MS)


def test_of_several_slow_handlers_one_alone_is_chosen() -> None:
    changes = [
        *requests(200, 1.0),
        *requests(1, 1.0, 50.0, from_ms=200),
        *requests(1, 1.0, 50.0, from_ms=251),
        *requests(100, 1.0, from_ms=302),
        *requests(1, 1.0, 50.0, from_ms=500),
        *requests(100, 1.0, from_ms=551),
    ]
    window = choose_window([spans_of(lane(*changes), 700 * MS)], 0, 700 * MS)
    assert window.slow and round(window.slow.from_ns / MS, 1) == 500.1


def test_of_very_many_slow_handlers_one_in_the_middle_is_chosen() -> None:
    lanes = [
        lane(
            *requests(50, 1.0),
            *requests(200, 200.0, 50.0, from_ms=100 + 7 * index),
            role="worker",
            index=index,
        )
        for index in range(20)
    ]
    for each in lanes:  # most handlers are fast
        each.changes.extend(lane(*requests(300, 1.0, from_ms=40_300)).changes)
    to_ns = 41_000 * MS
    window = choose_window([spans_of(each, to_ns) for each in lanes], 0, to_ns)
    assert window.slow and abs(window.from_ns - to_ns / 2) < 2_000 * MS


def test_a_slow_handler_whose_window_is_not_recorded_is_not_chosen() -> None:
    changes = [*requests(10, 1.0), *requests(1, 1.0, 50.0, from_ms=10), *requests(100, 1.0, from_ms=61)]
    assert choose_window([spans_of(lane(*changes), 161 * MS)], 0, 161 * MS).slow is None


def test_without_a_slow_handler_the_window_shows_single_requests_in_the_middle() -> None:
    window = choose_window([spans_of(lane(*requests(1000, 1.0)), 1000 * MS)], 0, 1000 * MS)
    assert window.slow is None
    assert window.length_ns == 20 * MS, "40 spans of 2 per ms"
    assert window.from_ns == 490 * MS


def test_the_length_of_the_window_can_be_given() -> None:
    threads = [spans_of(lane(*requests(1000, 1.0)), 1000 * MS)]
    assert choose_window(threads, 0, 1000 * MS, length_ns=50 * MS).length_ns == 50 * MS


def test_the_window_lies_in_the_load_even_if_the_recording_goes_on() -> None:
    recording = recorded(lane(*requests(100, 1.0)), to_ms=4000)
    assert load_ends_ns(recording) == 4000 * MS, "recordings of version 1 have no requests"
    recording.requests = {"plaintext": RequestTimes(), "sleep": RequestTimes()}
    for number in range(100):
        recording.requests["plaintext"].append(number * MS + 300_000, 200)
    assert load_ends_ns(recording) == 99 * MS + 300_000
    window = choose_window([spans_of(lane(*requests(100, 1.0)), 4000 * MS)], 0, load_ends_ns(recording))
    assert request_spans(recording, window), "in the middle of the recording there are none"


def test_threads_have_numbers_if_their_role_has_several() -> None:
    lanes = [
        lane((0, WAITING), (5, READING), (6, WAITING)),
        lane((0, QUEUE), (6, HANDLING), (7, QUEUE), role="worker", index=0, slot=1),
        lane((0, QUEUE), role="worker", index=1, slot=2),
    ]
    threads = [spans_of(each, 10 * MS) for each in lanes]
    window = choose_window(threads, 0, 10 * MS, length_ns=10 * MS)
    shown, total = thread_lanes(lanes, threads, window)
    assert [(each.name, each.idle, len(each.spans)) for each in shown] == [
        ("reactor", "waiting", 1),
        ("worker 1", "queue", 1),
        ("worker 2", "queue", 0),
    ]
    assert total == 3
    assert (shown[0].spans[0].from_us, shown[0].spans[0].to_us, shown[0].spans[0].state) == (
        5000,
        6000,
        "reading",
    )


def test_of_many_threads_the_busiest_are_shown_and_all_are_counted() -> None:
    lanes = [lane((0, WAITING), (1, READING), (1.1, WAITING), role="acceptor")] + [
        lane(
            (0, WAITING),
            (2, HANDLING),
            (2 + number / 100, WAITING),
            role="connection",
            index=number,
            slot=number,
        )
        for number in range(1, 40)
    ]
    threads = [spans_of(each, 10 * MS) for each in lanes]
    window = choose_window(threads, 0, 10 * MS, length_ns=10 * MS)
    shown, total = thread_lanes(lanes, threads, window)
    assert total == 40 and len(shown) == excerpts.LANES_MAX
    assert [each.name for each in shown] == ["acceptor", *(f"connection {n + 1}" for n in range(29, 40))]


def test_requests_in_flight_in_the_window_are_shown_in_the_order_of_their_send() -> None:
    recording = recorded(lane((0, WAITING)), to_ms=100)
    slow, fast = RequestTimes(), RequestTimes()
    slow.append(90 * MS, 60_000)
    for answered_ms, service_us in ((10, 1000), (41, 1000), (60, 21_000), (99, 1000)):
        fast.append(answered_ms * MS, service_us)
    recording.requests = {"sleep ms=50": slow, "plaintext": fast}
    window = choose_window([[]], 20 * MS, 80 * MS, length_ns=60 * MS)
    shown = request_spans(recording, window)
    assert [(each.kind, each.sent_us, each.answered_us) for each in shown] == [
        ("sleep ms=50", 10_000, 70_000),
        ("plaintext", 19_000, 40_000),
        ("plaintext", 20_000, 21_000),
    ]
    assert most_waiting(shown, 60_000) == 3
    assert most_waiting(shown, 15_000) == 1, "the others are sent later"
