"""Thresholds: the grammar, what breaches, and that nothing typed can do worse than a sentence."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import Invalid
from app.lab.thresholds import Threshold
from app.lab.verdict import TITLES
from app.lab.views import GeneratorCost, Latency, Ledger, Summary, Verdict
from app.load.histogram import Percentiles

RESPONSE = Percentiles(1000, 10_000, 20_000, 40_000, None, 90_000, 12_000)
SERVICE = Percentiles(1000, 1_000, 2_000, 4_000, None, 9_000, 1_200)
SUMMARY = Summary(
    requests=990, errors={"closed": 10}, duration_s=1.0, offered_per_s=1000, achieved_per_s=990, rate_ratio=0.99,
    bytes_in=1, bytes_out=1, dropped=0, late=0, connections_peak=8, idle_connections_held=0,
    latency=Latency(SERVICE, RESPONSE), by_kind=(),
)  # fmt: skip
LEDGER = Ledger(25.0, 15.0, 10.0, 2.0, None, 0.1, 0.1, 1.0, 1.0, None, 1, 1, 1.0, 1, GeneratorCost(9.0, 0.5))
VERDICT = Verdict("server_bound", "Server bound", True, ("So it is.",), (), {})


def breached(text: str) -> bool:
    return Threshold.parse(text).check(SUMMARY, LEDGER, VERDICT).breached


@pytest.mark.parametrize(
    "text",
    ["p(99)<41ms", "p(99)<=40ms", "p(50)<11000us", "p(90)<0.021s", "max<91ms", "mean<13ms", "service_p(50)<2ms",
     "service_max<10ms", "service_mean<2ms", "errors<1.1%", "errors<=0.01", "rate>989", "rate>=990", "rate!=5",
     "rate_ratio>0.98", "rate_ratio>=99%", "cpu_us_per_request<30", "verdict==server_bound", "verdict!=noisy",
     " p(99) < 41 ms "],
)  # fmt: skip
def test_a_condition_that_holds(text: str) -> None:
    assert not breached(text)


@pytest.mark.parametrize(
    "text",
    ["p(99)<40ms", "p(50)<1ms", "service_p(50)<1ms", "errors<0.1%", "errors<1%", "rate>990", "rate==5",
     "cpu_us_per_request<25", "verdict==unsaturated", "verdict!=server_bound"],
)  # fmt: skip
def test_a_condition_that_does_not(text: str) -> None:
    assert breached(text)


def test_what_is_not_known_breaches_and_says_so() -> None:
    for text in ("p(99.9)<1s", "service_p(99.9)>0us"):
        result = Threshold.parse(text).check(SUMMARY, LEDGER, VERDICT)
        assert result.breached and result.seen == "not known"
    for text in ("rate>0", "cpu_us_per_request>0", "verdict!=noisy", "errors<100%", "p(50)<60s"):
        assert Threshold.parse(text).check(None, None, None).breached


@pytest.mark.parametrize(
    "text",
    ["", "p99<20ms", "p(98)<20ms", "p(99)<20", "p(99)<20%", "p(99)=20ms", "p(99)<-1ms", "p(99)<ms", "rate>5ms",
     "rate>5%", "rate", "errors<1ms", "verdict==fine", "verdict<noisy", "verdict==", "latency<5ms", "p(99)<1.2.3ms",
     "verdict==server_bounds", "verdict==noisy%", "verdict==noisyms", "rate>nan", "rate<inf", "p(99)<infs",
     "errors<nan%", "p(99)<20ms p(50)<1ms"],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Threshold.parse(text, "/thresholds/3")
    (problem,) = refused.value.problems
    assert problem.pointer == "/thresholds/3"
    assert repr(text) in problem.detail


@given(st.text(max_size=40) | st.from_regex(r"(p\(99\)|errors|rate|verdict)[<>=!]=?[\w.%]{0,8}", fullmatch=True))
@example("verdict==server_bound\n")
@example("rate>٣")
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        threshold = Threshold.parse(text)
    except Invalid as refused:
        assert refused.problems[0].detail
        return
    assert isinstance(threshold.value, str) or math.isfinite(threshold.value)
    assert threshold.value in TITLES or threshold.what != "verdict"
    assert threshold.check(SUMMARY, LEDGER, VERDICT).text == text.strip()


@given(st.floats(0.001, 1e6), st.sampled_from(["us", "ms", "s"]))
def test_units_are_units(value: float, unit: str) -> None:
    scale = {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    text = f"p(99)<{value:.6f}{unit}"
    assert Threshold.parse(text).value == pytest.approx(float(f"{value:.6f}") * scale)
