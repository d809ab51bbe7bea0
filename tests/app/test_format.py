"""Numbers, units and times as text: one format for each quantity, at every magnitude."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import format


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (None, "–"),
        (0, "0 µs"),
        (4.06, "4.1 µs"),
        (9.96, "10 µs"),
        (85.4, "85 µs"),
        (999.4, "999 µs"),
        (999.6, "1.00 ms"),
        (4_900, "4.90 ms"),
        (9_996, "10.0 ms"),
        (48_230, "48.2 ms"),
        (99_960, "100 ms"),
        (999_600, "1.0 s"),
        (1_234_000, "1.2 s"),
        (99_960_000, "100 s"),
        (3.6e9, "3,600 s"),
    ],
)
def test_a_time_has_two_or_three_digits_and_its_unit(us: float | None, text: str) -> None:
    assert format.us(us) == text


@given(st.floats(10, 9e8))
def test_no_time_has_more_than_three_digits_or_is_off_by_more_than_five_percent(us: float) -> None:
    number, symbol = format.us(us).split(" ")
    assert len(re.sub(r"\D", "", number)) <= 3
    scale = {"µs": 1.0, "ms": 1e3, "s": 1e6}[symbol]
    assert float(number.replace(",", "")) * scale == pytest.approx(us, rel=0.05)


@pytest.mark.parametrize(
    ("us", "text"), [(1_000, "1 ms"), (2_500, "2.5 ms"), (200, "200 µs"), (20_000_000, "20 s"), (0, "0 µs")]
)
def test_a_tick_of_an_axis_has_no_trailing_zeros(us: float, text: str) -> None:
    assert format.us_tick(us) == text


@pytest.mark.parametrize(
    ("per_s", "text"),
    [(0, "0"), (0.25, "0.2"), (7.5, "7.5"), (50, "50"), (82.49, "82.5"), (99.97, "100"), (3_194.4, "3,194")],
)
def test_a_rate_has_decimals_only_below_a_hundred(per_s: float, text: str) -> None:
    assert format.rate(per_s) == text
    assert format.request_rate(per_s) == f"{text} req/s"


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.9, "0.90"), (1.314, "1.31"), (5.87, "5.9"), (23.7, "24"), (None, "–")]
)
def test_a_ratio_has_two_or_three_digits(ratio: float | None, text: str) -> None:
    assert format.ratio(ratio) == text


def test_a_change_has_its_sign_and_the_format_of_its_figure() -> None:
    assert format.change(1_200, "us") == "+1.20 ms"
    assert format.change(-340, "count") == "−340"
    assert format.change(0, "seconds") == "0 s"
    assert format.change(None, "us") == "–"


def test_the_environment_has_the_names_and_formats_of_the_page_about_the_machine() -> None:
    assert (format.label("port_range"), format.environment_fact([32768, 60999], "port_range")) == (
        "Ephemeral ports",
        "32768–60999",
    )
    assert format.environment_fact(None, "port_range") == "–"
    assert (format.label("descriptor_limit"), format.label("somaxconn")) == (
        "File-descriptor limit",
        "somaxconn",
    )
    assert (
        format.environment_fact(2**30, "memory_bytes") == "1.0 GiB"
        and format.environment_fact(4096, "somaxconn") == "4,096"
    )
