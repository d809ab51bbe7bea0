"""Lanes as frames show them, and the event-loop lag that is computed from them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.live.lanes import CHANGES_MAX, SLICES, encode_lanes
from app.live.loop_lag import LoopLag
from app.trace.tracing import merge
from engines.common.board.board import ENDED, HANDLING, QUEUE, READING, WAITING
from engines.common.board.trace_reader import UNKNOWN, Lane, Trace
from tests.app.trace.boards import MS, lane


def test_merged_intervals_keep_their_gaps() -> None:
    first = Trace(0, 100 * MS, (lane(WAITING, (20, HANDLING)),))
    second = Trace(
        100 * MS, 200 * MS, (lane(UNKNOWN, (150, WAITING), lost=9), lane(ENDED, (120, WAITING), slot=1))
    )
    merged = merge([first, second])
    assert (merged.from_ns, merged.to_ns) == (0, 200 * MS)
    rows = encode_lanes(merged, 4)["lanes"]
    assert rows == [
        [0, 1, WAITING, 9, [20_000, HANDLING, 80_000, UNKNOWN, 50_000, WAITING], None],
        [1, 1, ENDED, 0, [120_000, WAITING], None],
    ]


def test_a_late_change_does_not_go_back_in_time() -> None:
    rows = encode_lanes(Trace(100 * MS, 200 * MS, (lane(WAITING, (99, HANDLING), (150, WAITING)),)), 4)
    assert rows["lanes"][0][4] == [0, HANDLING, 50_000, WAITING]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 900_000), st.integers(1, 7)),
        min_size=CHANGES_MAX + 1,
        max_size=CHANGES_MAX + 200,
    )
)
def test_many_changes_become_shares_of_time_that_add_up(steps: list[tuple[int, int]]) -> None:
    at, changes = 0, []
    for dt, state in steps:
        at += dt
        changes.append(at << 4 | state)
    to_ns = at + 1000
    (row,) = encode_lanes(Trace(0, to_ns, (Lane(0, 1, WAITING, 0, changes),)), 4)["lanes"]
    assert row[4] is None and len(row[5]) == SLICES
    for shares in row[5]:
        assert abs(sum(shares[1::2]) - 1000) <= 4, "each share is rounded"
    spent: dict[int, int] = {}
    for (state, begin), end in zip(
        [(WAITING, 0), *((c & 15, c >> 4) for c in changes)], [*(c >> 4 for c in changes), to_ns], strict=True
    ):
        spent[state] = spent.get(state, 0) + end - begin
    for state, ns in spent.items():
        in_slices = sum(each[i + 1] for each in row[5] for i in range(0, len(each), 2) if each[i] == state)
        assert abs(in_slices / 1000 / SLICES - ns / to_ns) < 0.002


def test_loop_lag_is_the_longest_iteration_or_the_current_one() -> None:
    loop_lag, loops = LoopLag(), {0: "reactor"}
    busy = lane(WAITING, (10, READING), (15, WAITING), (20, READING), (80, HANDLING))
    assert loop_lag.longest_us(Trace(0, 100 * MS, (busy,)), loops) == 80_000
    assert loop_lag.longest_us(Trace(100 * MS, 200 * MS, (lane(HANDLING),)), loops) == 180_000
    assert loop_lag.longest_us(Trace(200 * MS, 300 * MS, (lane(HANDLING, (210, WAITING)),)), loops) == 190_000
    assert loop_lag.longest_us(Trace(300 * MS, 400 * MS, (lane(WAITING, (390, HANDLING)),)), loops) == 10_000
    idle = Trace(9000 * MS, 9100 * MS, (lane(WAITING),))
    assert loop_lag.longest_us(idle, loops) == 0, "the loop was idle"
    assert loop_lag.longest_us(Trace(9100 * MS, 9200 * MS, (lane(QUEUE, (9110, HANDLING)),)), loops) is None


def test_loop_lag_is_unknown_until_a_loop_was_seen_waiting() -> None:
    loop_lag, loops = LoopLag(), {0: "reactor"}
    began = lane(UNKNOWN, (50, HANDLING))
    assert loop_lag.longest_us(Trace(0, 100 * MS, (began,)), loops) is None
    assert loop_lag.longest_us(Trace(100 * MS, 200 * MS, (lane(HANDLING),)), loops) is None, (
        "the iteration began before the trace"
    )
    assert loop_lag.longest_us(Trace(200 * MS, 300 * MS, (lane(HANDLING, (250, WAITING)),)), loops) is None
    assert loop_lag.longest_us(Trace(300 * MS, 400 * MS, (lane(WAITING, (390, READING)),)), loops) == 10_000
    pieces = [
        Trace(400 * MS, 450 * MS, (lane(READING),)),
        Trace(450 * MS, 500 * MS, (lane(UNKNOWN, (480, WAITING)),)),
    ]
    assert loop_lag.longest_us(merge(pieces), loops) is None, "the trace has a gap"
    assert loop_lag.longest_us(Trace(500 * MS, 600 * MS, (lane(WAITING),)), loops) == 0


def test_loop_lag_is_unknown_if_it_is_unknown_for_one_loop() -> None:
    loop_lag, loops = LoopLag(), {0: "sub", 1: "sub", 2: "worker", 3: "worker"}
    idle, in_queue, busy = lane(WAITING), lane(QUEUE, slot=2), lane(UNKNOWN, slot=3)
    first = Trace(0, 100 * MS, (idle, lane(UNKNOWN, slot=1), in_queue, busy))
    assert loop_lag.longest_us(first, loops) is None
    second = Trace(100 * MS, 200 * MS, (idle, lane(WAITING, (150, READING), slot=1), in_queue, busy))
    assert loop_lag.longest_us(second, loops) == 50_000, "a worker is not an event loop"
    assert loop_lag.longest_us(Trace(200 * MS, 300 * MS, (idle, in_queue)), loops) is None, (
        "one loop has no ring"
    )
