"""The values of a tuning: grids of ranges, lists, and their names."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.tunings.values import RANGE_MAX, VALUES_MAX, VALUES_MIN, grid, parse_values, value_name


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (1, 32, (1, 2, 4, 8, 16, 32)),
        (1, 2, (1, 2)),
        (4, 8, (4, 8)),
        (1, 10, (1, 2, 3, 6, 10)),
        (1, 256, (1, 2, 5, 11, 24, 53, 116, 256)),
        (0, 16, (0, 1, 2, 4, 8, 16)),
        (0, 1, (0, 1)),
    ],
)
def test_a_range_is_a_geometric_grid_with_both_ends(low: int, high: int, values: tuple[int, ...]) -> None:
    assert grid(low, high) == values


@given(st.integers(-RANGE_MAX, RANGE_MAX), st.integers(-RANGE_MAX, RANGE_MAX))
def test_every_range_has_few_values_in_ascending_order(one: int, other: int) -> None:
    low, high = sorted((one, other))
    if low == high:
        return
    values = grid(low, high)
    assert (values[0], values[-1]) == (low, high)
    assert VALUES_MIN <= len(values) <= VALUES_MAX
    assert list(values) == sorted(set(values))


@given(st.integers(1, 10**6), st.integers(2, 100))
def test_neighbours_of_a_grid_are_about_a_factor_apart(low: int, factor: int) -> None:
    values = grid(low, low * factor)
    ratio = factor ** (1 / (len(values) - 1))
    for one, other in pairwise(values):
        assert other - one * ratio <= 1 + ratio and one * ratio - other <= 1 + ratio, "but for rounding"


def test_values_are_written_as_a_range_or_as_a_list() -> None:
    assert parse_values("1..32") == ((), 1, 32)
    assert parse_values(" 1 .. 32 ") == ((), 1, 32)
    assert parse_values("1,2, 4") == (("1", "2", "4"), None, None)
    assert parse_values("sync,gthread") == (("sync", "gthread"), None, None)


@pytest.mark.parametrize("text", ["", " , ", "..", "1..", "..4", "a..b", "1.5..3", "1...3"])
def test_other_text_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Invalid, match=r"LO\.\.HI") as error:
        parse_values(text)
    assert [each.pointer for each in error.value.problems] == ["/values"]


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        values, low, high = parse_values(text)
    except Invalid:
        return
    assert bool(values) != (low is not None and high is not None)


def test_a_value_has_the_name_of_its_knob() -> None:
    assert value_name("threads", "threads", 16) == "16 threads"
    assert value_name("threads", "threads", 1) == "threads 1"
    assert value_name("workers", "threads", 1024) == "workers 1,024"
    assert value_name("reply", "", "reactor") == "reply reactor"
