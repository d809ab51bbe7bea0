"""The CPU time of every regular expression and every parser is proportional to the length of the text.

tests/test_patterns.py counts steps of the same rows, but not what C code does. With 4 times the text, linear
code takes 4 times as long, quadratic code 16 times. The lengths begin so small, and a test ends so early,
that it also fails for exponential code within a second.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from app.errors import Invalid
from tests.app.driver import app_without_lab
from tests.measure.conftest import Report
from tests.patterns.rows import NOT_LINEAR, PATTERNS, READERS, Row, Use, route_pattern
from tests.patterns.texts import URLS, Text

KIB = 1024
LENGTHS = (16, 20, 24, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB)
SLACK = 2.5  # a step of 4 times the text may take 10 times as long
IGNORED_NS = 300_000  # of one step: shorter times are noise
TRIALS, RETRIES = 3, 3


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Disable garbage collection: its time would count for whatever call it begins in."""
    gc.disable()
    yield
    gc.enable()


def cost_ns(use: Use, text: Any) -> int:
    """Return the CPU time of this thread, the lowest of some trials."""
    trials = []
    for _ in range(TRIALS):
        before = time.thread_time_ns()
        with contextlib.suppress(Invalid, ValueError):
            use(text)
        trials.append(time.thread_time_ns() - before)
    return min(trials)


def too_fast_growth(use: Use, make: Text) -> str | None:
    """Return a description of the first step at which the time grows too fast, or None."""
    costs = [cost_ns(use, make(LENGTHS[0]))]
    for short, long in pairwise(LENGTHS):
        costs.append(cost_ns(use, make(long)))
        if costs[-1] > SLACK * (long / short) * costs[-2] + IGNORED_NS:
            return (
                f"{short} characters take {costs[-2] / 1000:,.0f} µs, "
                f"and {long:,} take {costs[-1] / 1000:,.0f} µs"
            )
    return None


def check(row: Row, report: Report) -> None:
    """Report and assert that no text of a row is slow. A text is slow if each of three repetitions is."""
    use, texts = row
    slow = {}
    for make in texts:
        growths = (too_fast_growth(use, make) for _ in range(RETRIES))
        found = [growth for growth in growths if growth]
        if len(found) == RETRIES:
            slow[make(24)] = found[0]
    report(f"{len(texts)} texts of up to {LENGTHS[-1]:,} characters; not linear: {slow or 'none'}")
    assert not slow


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_time_in_proportion_to_the_text(report: Report, name: str) -> None:
    """Noise: only ratios of the CPU time of this thread count, each time is the lowest of three trials, and
    growth counts only if three repetitions show it."""
    check(PATTERNS[name], report)


@pytest.mark.parametrize("name", READERS)
def test_a_parser_takes_time_in_proportion_to_the_text(report: Report, name: str) -> None:
    """Noise: the same defences as for patterns."""
    check(READERS[name], report)


def test_a_route_is_found_in_time_in_proportion_to_the_path(report: Report) -> None:
    """Noise: the same defences as for patterns."""
    check((route_pattern(app_without_lab()).match, URLS), report)


@pytest.mark.parametrize("which", NOT_LINEAR)
def test_code_that_is_not_linear_is_found(report: Report, which: str) -> None:
    """Noise: quadratic code takes 16 times as long with 4 times the text, and 10 times is enough."""
    growth = too_fast_growth(*NOT_LINEAR[which])
    report(str(growth))
    assert growth
