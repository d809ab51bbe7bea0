"""Thresholds: the grammar, which results breach them, and that any text is parsed or refused."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import Invalid
from app.load.protocol import histogram
from app.load.protocol.histogram import Percentiles
from app.load.protocol.outcome import KindOutcome, Outcome
from app.plans.thresholds import GRAMMAR, Threshold
from app.results.threshold_check import check
from app.results.verdict import TITLES
from app.schemas.result import GeneratorCost, Latency, Ledger, Summary, Verdict
from app.schemas.states import VerdictName

RESPONSE = Percentiles(1000, 10_000, 20_000, 40_000, None, 90_000, 12_000)
SERVICE = Percentiles(1000, 1_000, 2_000, 4_000, None, 9_000, 1_200)
SUMMARY = Summary(
    requests=990,
    errors={"closed": 10},
    duration_s=1.0,
    offered_per_s=1000,
    achieved_per_s=990,
    rate_ratio=0.99,
    bytes_in=1,
    bytes_out=1,
    dropped=0,
    late=0,
    connections_peak=8,
    idle_connections_held=0,
    latency=Latency(SERVICE, RESPONSE),
    by_kind=(),
)
LEDGER = Ledger(25.0, 15.0, 10.0, 2.0, None, 0.1, 0.1, 1.0, 1.0, None, 1, 1, 1.0, 1, GeneratorCost(9.0, 0.5))
# One sample each at 1 ms, 2 ms … 100 ms.
HUNDRED = histogram.encode(histogram.from_counts((1000 * ms, 1) for ms in range(1, 101)))
OUTCOME = cast(
    Outcome, SimpleNamespace(kinds=(KindOutcome("plaintext", "plaintext", 100, {}, HUNDRED, HUNDRED),))
)
VERDICT = Verdict(VerdictName.SERVER_BOUND, "Server bound", True, ("The server was saturated.",), (), {})


def breached(text: str) -> bool:
    return check(Threshold.parse(text), SUMMARY, LEDGER, VERDICT, OUTCOME).breached


@pytest.mark.parametrize(
    "text",
    [
        "p(99)<41ms",
        "p(99)<=40ms",
        "p(50)<11000us",
        "p(90)<0.021s",
        "max<91ms",
        "mean<13ms",
        "service_p(50)<2ms",
        "service_max<10ms",
        "service_mean<2ms",
        "p(75)<76ms",
        "p(33.3)>33ms",
        "med<11ms",
        "avg<13ms",
        "min<1.1ms",
        "min>0.9ms",
        "service_med<2ms",
        "service_avg<2ms",
        "service_min<2ms",
        "rate>0.5",
        "errors<1.1%",
        "errors<=0.01",
        "rate>989",
        "rate>=990",
        "rate!=5",
        "rate_ratio>0.98",
        "rate_ratio>=99%",
        "cpu_us_per_request<30",
        "verdict==server_bound",
        "verdict!=noisy",
        " p(99) < 41 ms ",
    ],
)
def test_a_threshold_that_holds(text: str) -> None:
    assert not breached(text)


@pytest.mark.parametrize(
    "text",
    [
        "p(99)<40ms",
        "p(50)<1ms",
        "service_p(50)<1ms",
        "errors<0.1%",
        "errors<1%",
        "rate>990",
        "rate==5",
        "cpu_us_per_request<25",
        "verdict==unsaturated",
        "verdict!=server_bound",
    ],
)
def test_a_threshold_that_is_breached(text: str) -> None:
    assert breached(text)


def test_a_percentile_needs_ten_samples_above_it() -> None:
    assert (
        Threshold.parse("p(90)<1s").samples_needed == 100 and Threshold.parse("med<1s").samples_needed == 20
    )
    assert not breached("p(80)<1s") and not breached("p(89.9)<1s")
    for text in ("p(91)<1s", "p(95)<1s"):
        result = check(Threshold.parse(text), SUMMARY, LEDGER, VERDICT, OUTCOME)
        assert result.breached and result.seen == "unknown"


@pytest.mark.parametrize(
    ("text", "seen", "expected"),
    [
        ("rate>=200", 199.6, "199.6 req/s"),
        ("rate>=200", 200.4, "200 req/s"),
        ("rate>=200", 199.96, "199.96 req/s"),
        ("rate>2", 2.5, "2.5 req/s"),
        ("rate>0.1", 0.25, "0.2 req/s"),
        ("rate<=0.2", 0.25, "0.25 req/s"),
        ("rate>5", 12345, "12,345 req/s"),
    ],
)
def test_a_printed_value_is_on_the_same_side_of_the_bound_as_the_exact_one(
    text: str, seen: float, expected: str
) -> None:
    result = check(Threshold.parse(text), replace(SUMMARY, achieved_per_s=seen), LEDGER, VERDICT)
    assert result.seen == expected


@given(st.floats(0.001, 1e5), st.floats(0.001, 1e5))
def test_rounding_never_contradicts_the_result(bound: float, seen: float) -> None:
    threshold = Threshold.parse(f"rate>={bound:.6f}")
    assert isinstance(threshold.value, float)
    result = check(threshold, replace(SUMMARY, achieved_per_s=seen), LEDGER, VERDICT)
    printed = float(result.seen.removesuffix(" req/s").replace(",", ""))
    assert (printed >= threshold.value) == (not result.breached) or abs(seen - threshold.value) < 1e-8


def test_an_unknown_value_breaches_and_is_shown_as_not_known() -> None:
    for text in ("p(99.9)<1s", "service_p(99.9)>0us"):
        result = check(Threshold.parse(text), SUMMARY, LEDGER, VERDICT)
        assert result.breached and result.seen == "unknown"
    for text in ("rate>0", "cpu_us_per_request>0", "verdict!=noisy", "errors<100%", "p(50)<60s"):
        assert check(Threshold.parse(text), None, None, None).breached


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99<20ms",
        "p(0)<20ms",
        "p(0.0)<20ms",
        "p(100)<20ms",
        "p()<20ms",
        "median<20ms",
        "p(99)<20",
        "p(99)<20%",
        "p(99)=20ms",
        "p(99)<-1ms",
        "p(99)<ms",
        "rate>5ms",
        "rate>5%",
        "rate",
        "errors<1ms",
        "verdict==fine",
        "verdict<noisy",
        "verdict==",
        "latency<5ms",
        "p(99)<1.2.3ms",
        "verdict==server_bounds",
        "verdict==noisy%",
        "verdict==noisyms",
        "rate>nan",
        "rate<inf",
        "p(99)<infs",
        "errors<nan%",
        "p(99)<20ms p(50)<1ms",
    ],
)
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Threshold.parse(text, "/thresholds/3")
    (problem,) = refused.value.problems
    assert problem.pointer == "/thresholds/3"
    assert repr(text) in problem.detail
    assert "Examples: p(99)" in problem.detail or "verdict" in text or "unit" in problem.detail


@given(
    st.text(max_size=40) | st.from_regex(r"(p\(99\)|errors|rate|verdict)[<>=!]=?[\w.%]{0,8}", fullmatch=True)
)
@example("verdict==server_bound\n")
@example("rate>٣")
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        threshold = Threshold.parse(text)
    except Invalid as refused:
        assert refused.problems[0].detail
        return
    assert isinstance(threshold.value, str) or math.isfinite(threshold.value)
    assert threshold.value in TITLES or threshold.what != "verdict"
    assert check(threshold, SUMMARY, LEDGER, VERDICT).text == text.strip()


@given(st.floats(0.001, 1e6), st.sampled_from(["us", "ms", "s"]))
def test_times_are_converted_to_microseconds(value: float, unit: str) -> None:
    scale = {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    text = f"p(99)<{value:.6f}{unit}"
    assert Threshold.parse(text).value == pytest.approx(float(f"{value:.6f}") * scale)


def test_the_documentation_has_the_whole_grammar_and_examples_that_are_thresholds() -> None:
    text = (Path(__file__).parents[3] / "docs/command-line.md").read_text(encoding="utf-8")
    section = re.search(r"^## Thresholds\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    spans = re.findall(r"`([^`]+)`", section[1])
    assert set(VerdictName) <= set(spans)
    named = {Threshold.parse(span).what for span in spans if re.search(r"[a-z)][<>=]", span)}
    others = GRAMMAR.split("Others: ")[1].split(". ")[0].split(", ")
    assert named == {"p(99.9)", "service_p(99)", *others}
