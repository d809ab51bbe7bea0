"""Rates and request costs of the last second of an engine."""

from __future__ import annotations

from typing import Any

import pytest

from app.fleet.rates import RateWindow, Totals
from engines.common.board.board import QUEUE_WAIT_BUCKETS


def totals(at_s: float, requests: int | None, **changes: Any) -> Totals:
    """Return what an engine has counted by `at_s`: `requests`, zeros, and `changes`."""
    values: dict[str, Any] = {
        **dict.fromkeys(("io_calls", "bytes_in", "bytes_out", "queue_pops", "queue_wait_us"), 0),
        **dict.fromkeys(("cpu_ns", "switches")),
        "queue_wait": (0,) * QUEUE_WAIT_BUCKETS,
    }
    return Totals(at_ns=int(at_s * 1e9), requests=requests, **{**values, **changes})


def window(*samples: tuple[float, int]) -> RateWindow:
    """Return a window with samples of (seconds, requests counted by then)."""
    filled = RateWindow()
    for at_s, requests in samples:
        filled.add(totals(at_s, requests))
    return filled


def test_a_single_sample_has_no_rate() -> None:
    assert window().requests_per_s() is None
    assert window((1.0, 500)).requests_per_s() is None


def test_the_rate_is_even_if_a_loop_counts_once_per_second() -> None:
    """A wake-up with many slow requests counts them all at its end: 458 at once, not 45 every 100 ms."""
    at_once = [(i / 10, 458 * (i // 10)) for i in range(31)]
    rates = [window(*at_once[: i + 1]).requests_per_s() for i in range(10, 31)]
    assert rates == pytest.approx([458] * 21)


def test_samples_older_than_a_second_do_not_count() -> None:
    loaded, idle = [(i / 10, 100 * i) for i in range(20)], [(2 + i / 10, 2000) for i in range(15)]
    assert window(*loaded, *idle).requests_per_s() == 0


def test_the_cost_per_request_is_that_of_the_last_second() -> None:
    window = RateWindow()
    assert window.request_cost().cpu_us_per_request is None
    for i in range(31):
        window.add(totals(i / 10, 50 * i, cpu_ns=500_000 * i, io_calls=100 * i))
    cost = window.request_cost()
    assert (cost.cpu_us_per_request, cost.io_calls_per_request) == (10.0, 2.0)
    assert cost.switches_per_request is None, "unknown in the samples"
    assert cost.queue_wait_us is None, "no request was queued"
    for i in range(31, 45):
        window.add(totals(i / 10, 1500, cpu_ns=20_000_000, io_calls=3000))
    assert window.request_cost().cpu_us_per_request is None, "no requests in the last second"


def test_the_p99_of_queue_waits_needs_1000_waits() -> None:
    def p99(**waits_by_bucket: int) -> float | None:
        waits = [waits_by_bucket.get(f"b{bucket}", 0) for bucket in range(QUEUE_WAIT_BUCKETS)]
        window = RateWindow()
        window.add(totals(0, 0))
        window.add(totals(1, 2000, queue_wait=tuple(waits)))
        return window.request_cost().queue_wait_p99_us

    assert p99(b4=999) is None
    assert p99(b4=990, b10=10) == 2**4
    assert p99(b4=989, b10=11) == 2**10


def test_a_total_that_decreases_makes_the_cost_unknown() -> None:
    window = RateWindow()
    window.add(totals(0, 0, cpu_ns=90_000_000, switches=900))
    window.add(totals(1, 100, cpu_ns=80_000_000, switches=800))  # a process has ended
    cost = window.request_cost()
    assert (cost.cpu_us_per_request, cost.switches_per_request, cost.switches_per_s) == (None, None, None)


def test_requests_that_the_server_does_not_count_are_those_of_the_load_generator() -> None:
    window = RateWindow()
    for i in range(31):
        window.add(totals(i / 10, None, cpu_ns=500_000 * i, io_calls=None))
    assert window.request_cost().cpu_us_per_request is None
    cost = window.request_cost(loaded_per_s=500)
    assert (cost.cpu_us_per_request, cost.io_calls_per_request) == (10.0, None)
