"""Who was the limit: each verdict provoked by evidence, and the order in which rules win."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.results.verdict import TITLES, Evidence, busiest, judge, of_search
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
    looks=500,
    engine_cpu_share=0.4,
    cores={0: 0.4, 1: 0.5},
    in_flight_grew=False,
    little_residual=0.01,
    listen_drops=0,
    answered=120_000,
    counted=120_000,
    other_engines=0,
    died=None,
    lost=None,
    stopped=False,
)
OPEN = replace(CALM, is_open=True, late_share=0.0, rate_ratio=1.0)
MISSED = replace(OPEN, rate_ratio=0.9)

CASES: dict[str, tuple[Evidence, dict[str, Any], str]] = {
    "nothing at its limit": (CALM, {}, "unsaturated"),
    "open and kept up": (OPEN, {}, "unsaturated"),
    "open, kept up, though busy": (OPEN, {"occupancy": {"reactor": 0.99}}, "unsaturated"),
    "the engine died": (CALM, {"died": "reactor-1 ended by SIGKILL."}, "degraded"),
    "over one percent failed": (CALM, {"errors": 1100}, "errors_dominate"),
    "one percent failed": (CALM, {"errors": 1000}, "unsaturated"),
    "nothing was answered": (CALM, {"requests": 0, "errors": 0}, "errors_dominate"),
    "only errors": (CALM, {"requests": 0, "errors": 5}, "errors_dominate"),
    "the accept queue overflowed": (CALM, {"listen_drops": 3}, "kernel_drops"),
    "overflows that may be another's": (CALM, {"listen_drops": 3, "other_engines": 1}, "unsaturated"),
    "overflows not known": (CALM, {"listen_drops": None}, "unsaturated"),
    "the generator was busy": (CALM, {"generator_utilisation": 0.86}, "client_bound"),
    "the generator was nearly busy": (CALM, {"generator_utilisation": 0.85}, "unsaturated"),
    "the generator was starved": (CALM, {"generator_waited": 0.26}, "client_bound"),
    "the generator was busy and starved": (
        CALM,
        {"generator_utilisation": 0.7, "generator_waited": 0.2},
        "client_bound",
    ),
    "the generator waited a little": (CALM, {"generator_waited": 0.25}, "unsaturated"),
    "the generator was late, which its percentiles tell": (OPEN, {"late_share": 0.5}, "unsaturated"),
    "a worker process was lost": (
        CALM,
        {"lost": "A worker process of prefork-1 ended 2.0 s after the load began."},
        "degraded",
    ),
    "the rate was missed, and why is open": (MISSED, {}, "rate_missed"),
    "the rate was missed by a queue": (MISSED, {"in_flight_grew": True}, "server_bound"),
    "the rate was missed by a busy role": (
        MISSED,
        {"occupancy": {"worker": 0.91, "reactor": 0.1}},
        "server_bound",
    ),
    "the rate was missed by a busy CPU": (MISSED, {"engine_cpu_share": 0.95}, "server_bound"),
    "a rate just kept": (OPEN, {"rate_ratio": 0.99, "occupancy": {"reactor": 1.0}}, "unsaturated"),
    "a closed load filled a role": (CALM, {"occupancy": {"main": 0.0, "sub": 0.86}}, "server_bound"),
    "a closed load filled the CPU": (CALM, {"engine_cpu_share": 0.9}, "server_bound"),
    "a closed load nearly filled a role": (CALM, {"occupancy": {"reactor": 0.85}}, "unsaturated"),
    "users that think": (CALM, {"think_time": True, "occupancy": {"reactor": 0.99}}, "unsaturated"),
    "Little disagrees": (OPEN, {"little_residual": 0.06}, "noisy"),
    "Little disagrees the other way": (OPEN, {"little_residual": -0.06}, "noisy"),
    "too few for Little": (OPEN, {"little_residual": 0.5, "requests": 999}, "unsaturated"),
    "nothing was seen": (
        CALM,
        {"occupancy": {}, "engine_cpu_share": None, "generator_utilisation": None, "little_residual": None},
        "unsaturated",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_evidence_decides(case: str) -> None:
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
def test_the_first_rule_that_matches_wins(at: int) -> None:
    all_at_once = {name: value for _, changes in ORDER[at:] for name, value in changes.items()}
    assert judge(replace(OPEN, **all_at_once)).name == ORDER[at][0]


def test_a_full_server_wins_over_little() -> None:
    assert judge(replace(CALM, occupancy={"reactor": 0.99}, little_residual=0.9)).name == "server_bound"


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"counted": 119_999}, False),
        ({"counted": 1, "errors": 3}, None),
        ({"died": "It ended."}, None),
    ],
)
def test_both_sides_must_have_counted_the_same(changes: dict[str, Any], ok: bool | None) -> None:
    checks = {check.what: check for check in judge(replace(CALM, **changes)).checks}
    assert checks["Requests answered = responses counted"].ok is ok


FOUND = Capacity("p(99)<20ms", 800.0, 820.0, None, ())


def test_a_search_says_of_which_trial_it_shows_the_figures() -> None:
    assert "800 requests a second" in of_search(judge(OPEN), FOUND).because[-1]
    nothing = of_search(judge(OPEN), replace(FOUND, kept_per_s=None, limited_by="The time was over."))
    assert nothing.because[-2:] == (
        "No rate kept p(99)<20ms; what is shown is of the last trial.",
        "The time was over.",
    )


@pytest.mark.parametrize(
    "evidence", [CALM, OPEN, MISSED, replace(CALM, listen_drops=None, generator_utilisation=None)]
)
def test_what_could_not_be_checked_is_neither_good_nor_bad(evidence: Evidence) -> None:
    checks = {check.what: check for check in judge(evidence).checks}
    assert checks["Errors"].ok is True
    for what, value in (
        ("Connections dropped by the kernel", evidence.listen_drops),
        ("Generator used of its CPU", evidence.generator_utilisation),
    ):
        assert (checks[what].ok is None) == (value is None) == (checks[what].seen == "–")
    assert ("Achieved of offered" in checks) == evidence.is_open


@pytest.mark.parametrize("evidence", [CALM, MISSED, replace(MISSED, in_flight_grew=True)])
def test_an_engine_that_nobody_has_seen_is_not_said_to_be_idle(evidence: Evidence) -> None:
    verdict = judge(replace(evidence, occupancy={}, engine_cpu_share=None))
    assert "occupied" not in " ".join(verdict.because)
    (check,) = [check for check in verdict.checks if check.what.startswith("Occupied")]
    assert (check.seen, check.ok) == ("–", None)


def test_the_verdict_keeps_its_numbers() -> None:
    kept = judge(replace(CALM, occupancy={"main": 0.1, "sub": 0.9})).evidence
    assert (kept["occupied_main"], kept["occupied_sub"], kept["requests"]) == (0.1, 0.9, 100_000)


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
    looks=st.integers(0, 999),
    cores=st.just({0: 0.5}),
    occupancy=st.dictionaries(st.sampled_from(["reactor", "worker"]), st.floats(0, 1)),
    engine_cpu_share=SHARES,
    in_flight_grew=st.booleans(),
    little_residual=st.none() | st.floats(-1, 10),
    listen_drops=st.none() | st.integers(0, 100),
    answered=st.integers(0, 99),
    counted=st.integers(0, 99),
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
