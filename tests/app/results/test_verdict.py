"""The verdict from evidence: each verdict, and the precedence of the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.results.checks import busiest
from app.results.evidence import Evidence
from app.results.verdict import STOPPED_TITLE, TITLES, judge, with_capacity
from app.schemas.capacity import Capacity
from app.schemas.states import VerdictName

CALM = Evidence(
    is_open=False,
    placement="split",
    think_time=False,
    requests=100_000,
    errors=0,
    generator_utilisation=0.5,
    generator_waited=0.0,
    late_share=None,
    rate_ratio=None,
    occupancy={"reactor": 0.4},
    samples=500,
    engine_cpu_share=0.4,
    cores={0: 0.4, 1: 0.5},
    in_flight_grew=False,
    little_residual=0.01,
    listen_drops=0,
    server_requests=120_000,
    client_responses=120_000,
    other_engines=0,
    died=None,
    lost=None,
    stopped=False,
)
OPEN = replace(CALM, is_open=True, late_share=0.0, rate_ratio=1.0)
MISSED = replace(OPEN, rate_ratio=0.9)

CASES: dict[str, tuple[Evidence, dict[str, Any], str]] = {
    "nothing saturated": (CALM, {}, "unsaturated"),
    "open load at its target rate": (OPEN, {}, "unsaturated"),
    "open load at its target rate, busy server": (OPEN, {"occupancy": {"reactor": 0.99}}, "unsaturated"),
    "the engine died": (CALM, {"died": "reactor-1 was killed by SIGKILL."}, "degraded"),
    "more than 1 % failed": (CALM, {"errors": 1100}, "errors_dominate"),
    "1 % failed": (CALM, {"errors": 1000}, "unsaturated"),
    "no response": (CALM, {"requests": 0, "errors": 0}, "errors_dominate"),
    "only errors": (CALM, {"requests": 0, "errors": 5}, "errors_dominate"),
    "the listen queue overflowed": (CALM, {"listen_drops": 3}, "kernel_drops"),
    "overflows that may be of another engine": (CALM, {"listen_drops": 3, "other_engines": 1}, "unsaturated"),
    "overflows unknown": (CALM, {"listen_drops": None}, "unsaturated"),
    "the load generator was saturated": (CALM, {"generator_utilisation": 0.86}, "client_bound"),
    "the load generator was nearly saturated": (CALM, {"generator_utilisation": 0.85}, "unsaturated"),
    "the load generator was starved": (CALM, {"generator_waited": 0.26}, "client_bound"),
    "the load generator was busy and starved": (
        CALM,
        {"generator_utilisation": 0.7, "generator_waited": 0.2},
        "client_bound",
    ),
    "the load generator waited a little": (CALM, {"generator_waited": 0.25}, "unsaturated"),
    "late sends, which only percentiles depend on": (OPEN, {"late_share": 0.5}, "unsaturated"),
    "a worker process was lost": (
        CALM,
        {"lost": "A worker process of prefork-1 ended 2.0 s after the load began."},
        "degraded",
    ),
    "target rate missed, server not saturated": (MISSED, {}, "rate_missed"),
    "target rate missed, requests in flight grew": (MISSED, {"in_flight_grew": True}, "server_bound"),
    "target rate missed, role saturated": (
        MISSED,
        {"occupancy": {"worker": 0.91, "reactor": 0.1}},
        "server_bound",
    ),
    "target rate missed, CPU saturated": (MISSED, {"engine_cpu_share": 0.95}, "server_bound"),
    "target rate just reached": (OPEN, {"rate_ratio": 0.99, "occupancy": {"reactor": 1.0}}, "unsaturated"),
    "closed load, role saturated": (CALM, {"occupancy": {"main": 0.0, "sub": 0.86}}, "server_bound"),
    "closed load, CPU saturated": (CALM, {"engine_cpu_share": 0.9}, "server_bound"),
    "closed load, role nearly saturated": (CALM, {"occupancy": {"reactor": 0.85}}, "unsaturated"),
    "think time": (CALM, {"think_time": True, "occupancy": {"reactor": 0.99}}, "unsaturated"),
    "Little's law violated, more in flight": (OPEN, {"little_residual": 0.06}, "noisy"),
    "Little's law violated, fewer in flight": (OPEN, {"little_residual": -0.06}, "noisy"),
    "too few requests for Little's law": (OPEN, {"little_residual": 0.5, "requests": 999}, "unsaturated"),
    "nothing known": (
        CALM,
        {"occupancy": {}, "engine_cpu_share": None, "generator_utilisation": None, "little_residual": None},
        "unsaturated",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_evidence_determines_the_verdict(case: str) -> None:
    evidence, changes, expected = CASES[case]
    verdict = judge(replace(evidence, **changes))
    assert verdict.name == expected
    assert verdict.title == TITLES[VerdictName(expected)]
    assert verdict.because and all(verdict.because)


def test_every_verdict_can_be_provoked() -> None:
    assert {expected for _, _, expected in CASES.values()} == set(TITLES)


ORDER: list[tuple[str, dict[str, Any]]] = [
    ("degraded", {"died": "It ended."}),
    ("errors_dominate", {"errors": 50_000}),
    ("kernel_drops", {"listen_drops": 1}),
    ("client_bound", {"generator_utilisation": 0.99}),
    ("rate_missed", {"rate_ratio": 0.5}),
    ("noisy", {"little_residual": 0.9}),
]


@pytest.mark.parametrize("at", range(len(ORDER)))
def test_the_first_rule_that_applies_decides(at: int) -> None:
    all_at_once = {name: value for _, changes in ORDER[at:] for name, value in changes.items()}
    assert judge(replace(OPEN, **all_at_once)).name == ORDER[at][0]


def test_a_saturated_server_takes_precedence_over_littles_law() -> None:
    assert judge(replace(CALM, occupancy={"reactor": 0.99}, little_residual=0.9)).name == "server_bound"


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"client_responses": 119_999}, False),
        ({"client_responses": 1, "errors": 3}, None),
        ({"died": "It ended."}, None),
    ],
)
def test_server_and_client_counts_must_match_unless_something_failed(
    changes: dict[str, Any], ok: bool | None
) -> None:
    checks = {check.what: check for check in judge(replace(CALM, **changes)).checks}
    assert checks["Server and client request counts match"].ok is ok


FOUND = Capacity("p(99)<20ms", 800.0, 820.0, None, ())


def test_a_capacity_search_names_the_trial_whose_figures_it_shows() -> None:
    assert "800 req/s" in with_capacity(judge(OPEN), FOUND).because[-1]
    nothing = with_capacity(judge(OPEN), replace(FOUND, kept_per_s=None, limited_by="Stopped early."))
    assert nothing.because[-2:] == (
        "No rate met p(99)<20ms; the figures are those of the last trial.",
        "Stopped early.",
    )


@pytest.mark.parametrize(
    "evidence", [CALM, OPEN, MISSED, replace(CALM, listen_drops=None, generator_utilisation=None)]
)
def test_a_check_of_an_unknown_value_neither_passes_nor_fails(evidence: Evidence) -> None:
    checks = {check.what: check for check in judge(evidence).checks}
    assert checks["Errors"].ok is True
    for what, value in (
        ("Connections dropped by the kernel", evidence.listen_drops),
        ("Load-generator CPU utilisation", evidence.generator_utilisation),
    ):
        assert (checks[what].ok is None) == (value is None) == (checks[what].seen == "–")
    assert ("Achieved / offered" in checks) == evidence.is_open


@pytest.mark.parametrize("waited", [0.0, 0.04, 0.11])
def test_the_check_of_the_generator_agrees_with_the_verdict(waited: float) -> None:
    verdict = judge(replace(CALM, generator_utilisation=0.809, generator_waited=waited))
    (check,) = [each for each in verdict.checks if each.what == "Load-generator CPU utilisation"]
    assert (check.ok, check.seen) == (waited < 0.041, "80.9 %")
    assert (verdict.name == "client_bound") == (check.ok is False)


@pytest.mark.parametrize("evidence", [CALM, MISSED, replace(MISSED, in_flight_grew=True)])
def test_no_utilisation_is_reported_without_samples(evidence: Evidence) -> None:
    verdict = judge(replace(evidence, occupancy={}, engine_cpu_share=None))
    assert "reactor utilisation" not in " ".join(verdict.because)
    (check,) = [check for check in verdict.checks if check.what == "Server utilisation"]
    assert (check.seen, check.ok) == ("–", None)


def test_the_verdict_contains_its_evidence_under_the_names_of_the_api() -> None:
    numbers = judge(replace(CALM, occupancy={"main": 0.1, "sub": 0.9})).evidence
    assert (numbers["occupied_main"], numbers["occupied_sub"], numbers["requests"]) == (0.1, 0.9, 100_000)
    assert (numbers["looks"], numbers["beside"]) == (500, 0)
    assert numbers["answered"] == numbers["counted"] == 120_000


def test_the_title_is_stopped_where_the_engine_was_stopped_on_request() -> None:
    stopped = replace(CALM, died="reactor-1 was stopped.", engine_stopped=True)
    assert (judge(stopped).name, judge(stopped).title) == ("degraded", STOPPED_TITLE)
    assert judge(replace(CALM, died="reactor-1 was killed.")).title == "Degraded"


@pytest.mark.parametrize(
    ("evidence", "check"),
    [
        (CALM, ("Reactor utilisation", "40 % (n = 500 samples)", "saturated above 85 %")),
        (OPEN, ("Reactor utilisation", "40 % (n = 500 samples)", "saturated above 90 %")),
        (replace(CALM, engine_cpu_share=0.5), ("Server CPU utilisation", "50 %", "saturated above 85 %")),
        (
            replace(CALM, occupancy={"sub of main-sub-2": 0.948}, swaps=1),
            ("Sub utilisation of main-sub-2", "94.8 %", "saturated above 85 %"),
        ),
    ],
)
def test_the_most_utilised_role_is_shown_with_its_samples(evidence: Evidence, check: tuple[str, ...]) -> None:
    shown = [(each.what, each.seen, each.limit) for each in judge(evidence).checks]
    assert check in shown


SHARES = st.none() | st.floats(0, 2)
ANY = st.builds(
    Evidence,
    is_open=st.booleans(),
    placement=st.sampled_from(["split", "shared"]),
    think_time=st.booleans(),
    requests=st.integers(0, 10**7),
    errors=st.integers(0, 10**6),
    generator_utilisation=SHARES,
    generator_waited=SHARES,
    late_share=SHARES,
    rate_ratio=SHARES,
    samples=st.integers(0, 999),
    cores=st.just({0: 0.5}),
    occupancy=st.dictionaries(st.sampled_from(["reactor", "worker"]), st.floats(0, 1)),
    engine_cpu_share=SHARES,
    in_flight_grew=st.booleans(),
    little_residual=st.none() | st.floats(-1, 10),
    listen_drops=st.none() | st.integers(0, 100),
    server_requests=st.integers(0, 99),
    client_responses=st.integers(0, 99),
    other_engines=st.integers(0, 3),
    died=st.none() | st.just("It ended."),
    lost=st.none(),
    stopped=st.booleans(),
    stalled=st.booleans(),
    traced=st.booleans(),
)


@given(ANY)
def test_there_is_always_exactly_one_verdict_with_a_reason(evidence: Evidence) -> None:
    verdict = judge(evidence)
    assert verdict.name in TITLES and verdict.because
    found = busiest(evidence)
    assert found is None or 0 <= found[1] <= 2
