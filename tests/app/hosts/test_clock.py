"""The offset between two clocks: the true one is within the stated error, however asymmetric the path is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.hosts.clock import ClockOffset, clock_offset

INSTANTS = st.integers(0, 2**62)
OFFSETS = st.integers(-(2**62), 2**62)
DELAYS = st.integers(0, 10**10)
PATHS = st.lists(st.tuples(INSTANTS, DELAYS, DELAYS), min_size=1, max_size=9)  # sent, there, and back


@given(OFFSETS, PATHS)
def test_the_true_offset_is_within_the_error_of_the_shortest_round_trip(
    offset_ns: int, paths: list[tuple[int, int, int]]
) -> None:
    found = clock_offset((sent, sent + there + offset_ns, sent + there + back) for sent, there, back in paths)
    assert abs(found.offset_ns - offset_ns) <= found.error_ns
    assert found.rtt_ns == min(there + back for _, there, back in paths)
    assert found.error_ns in (found.rtt_ns / 2, (found.rtt_ns + 1) / 2)


def test_a_path_with_equal_delays_gives_the_exact_offset() -> None:
    assert clock_offset([(100, 5_110, 120)]) == ClockOffset(offset_ns=5_000, error_ns=10, rtt_ns=20)


@given(OFFSETS, INSTANTS.filter(bool))
def test_an_instant_is_the_same_after_the_way_to_the_host_and_back(offset_ns: int, ns: int) -> None:
    clock = ClockOffset(offset_ns, 0, 0)
    assert clock.to_host(ns) - ns == offset_ns
    if clock.to_host(ns):
        assert clock.to_lab(clock.to_host(ns)) == ns


def test_an_unknown_instant_stays_unknown() -> None:
    assert ClockOffset(offset_ns=7, error_ns=0, rtt_ns=0).to_lab(0) == 0
