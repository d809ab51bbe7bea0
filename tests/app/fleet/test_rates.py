"""Rates of the last second: neither what happens between two looks nor the start of an engine makes a peak or a gap."""

from __future__ import annotations

import pytest

from app.fleet.rates import Total, Window


def window(*looks: tuple[float, int]) -> Window:
    """One that has looked so often: seconds, and requests by then."""
    made = Window()
    for at_s, requests in looks:
        made.add(Total(int(at_s * 1e9), requests, 0, 0, 0, 0, 0, (), None, None))
    return made


def test_one_look_is_no_rate() -> None:
    assert window().requests_per_s() is None
    assert window((1.0, 500)).requests_per_s() is None


def test_a_loop_that_counts_seldom_has_an_even_rate() -> None:
    """A wake-up with many slow requests counts them all at its end: 45 in each tenth of a second, or 458 at once."""
    at_once = [(i / 10, 458 * (i // 10)) for i in range(31)]
    rates = [window(*at_once[: i + 1]).requests_per_s() for i in range(10, 31)]
    assert rates == pytest.approx([458] * 21)


def test_what_is_older_than_a_second_does_not_count() -> None:
    loaded, idle = [(i / 10, 100 * i) for i in range(20)], [(2 + i / 10, 2000) for i in range(15)]
    assert window(*loaded, *idle).requests_per_s() == 0
