"""Which figures of a trial can be relied on: each is judged by what spoils it, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.histogram import Percentiles
from app.load.protocol.plan import Plan, Work
from app.plans.scenarios import SCENARIOS
from app.results.figures import LEDGER, PERCENTILES, Family, Figure, figure, of_summary
from app.results.fitness import (
    LATENESS_MIN_US,
    LATENESS_SHARE_MAX,
    appraise,
    main_figure,
    resolution_us,
    spoiled,
    unfit,
)
from app.results.verdict import Evidence, judge
from app.schemas.result import KindSummary, Latency, Summary, Verdict
from tests.app.results.test_verdict import ANY, CALM, MISSED, OPEN

TIMES = Percentiles(100_000, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 9_000.0, 1_100.0)
SUMMARY = Summary(
    100_000,
    {},
    10.0,
    None,
    10_000.0,
    None,
    0,
    0,
    0,
    0,
    64,
    0,
    Latency(TIMES, TIMES, TIMES),
    tuple(KindSummary(label, 50_000, 0, TIMES, TIMES, TIMES) for label in ("plaintext", "sleep ms=50")),
)
COST, RATE, P50, P99 = "cpu_us", "achieved_per_s", "p50_us", "p99_us"


def appraised(evidence: Evidence, summary: Summary = SUMMARY, main: str = RATE) -> Verdict:
    return appraise(judge(evidence), evidence, summary, of_summary(summary, searched=False), main)


def fit(evidence: Evidence, *names: str) -> tuple[bool, ...]:
    found = appraised(evidence).fitness
    return tuple(found[name] is None for name in names)


def with_response(raw: Percentiles, corrected: Percentiles | None) -> Summary:
    return replace(SUMMARY, latency=Latency(TIMES, raw, corrected))


# What happened, and whether CPU per request, throughput and p99 can be relied on after it.
SPOILED: dict[str, tuple[Evidence, dict[str, Any], tuple[bool, bool, bool]]] = {
    "nothing": (CALM, {}, (True, True, True)),
    "nothing, at a rate": (OPEN, {}, (True, True, True)),
    "sends that were a little late": (OPEN, {"late_share": 0.5}, (True, True, True)),
    "the generator at its limit": (CALM, {"generator_utilisation": 0.9}, (True, False, False)),
    "a starved generator": (OPEN, {"generator_waited": 0.5}, (True, False, False)),
    "a kernel that dropped connections": (CALM, {"listen_drops": 3}, (True, False, False)),
    "Little's law": (OPEN, {"little_residual": 0.5}, (True, False, False)),
    "a rate that was missed by too few connections": (MISSED, {}, (False, False, False)),
    "a rate that was missed by a full server": (
        MISSED,
        {"occupancy": {"reactor": 0.99}},
        (False, True, True),
    ),
    "a full server": (CALM, {"occupancy": {"reactor": 0.99}}, (True, True, True)),
    "errors": (CALM, {"errors": 5_000}, (False, False, False)),
    "no answer": (CALM, {"requests": 0}, (False, False, False)),
    "a dead engine": (CALM, {"died": "It ended."}, (False, False, False)),
    "a lost worker process": (CALM, {"lost": "One of it ended."}, (False, False, False)),
    "a stop": (CALM, {"stopped": True}, (False, False, False)),
    "a stall": (OPEN, {"stalled": True}, (False, False, False)),
    "a trace": (CALM, {"traced": True}, (False, False, False)),
    "a relay": (CALM, {"swaps": 1}, (False, False, False)),
    "runs beside it": (CALM, {"beside": 1}, (False, False, False)),
    "shared CPUs": (CALM, {"placement": "shared"}, (True, False, False)),
    "shared CPUs, with a generator that hardly needs one": (
        CALM,
        {"placement": "shared", "generator_utilisation": 0.1},
        (True, True, True),
    ),
    "shared CPUs at a rate": (OPEN, {"placement": "shared"}, (True, True, True)),
}


@pytest.mark.parametrize("case", SPOILED)
def test_each_figure_is_spoiled_by_what_changes_it(case: str) -> None:
    evidence, changes, expected = SPOILED[case]
    assert fit(replace(evidence, **changes), COST, RATE, P99) == expected


def test_rankable_is_the_figure_that_the_run_is_read_for() -> None:
    busy = replace(CALM, generator_utilisation=0.9)
    assert appraised(busy, main=COST).rankable and not appraised(busy, main=RATE).rankable
    assert appraised(busy, main=COST).why_not is None
    assert "used 90.0 % of its CPU" in (appraised(busy, main=RATE).why_not or "")
    assert not appraised(CALM, main="kept_per_s").rankable, "it has no such figure"


def test_the_reason_is_the_reason_and_not_the_text_of_the_verdict() -> None:
    told: tuple[tuple[dict[str, Any], str], ...] = (
        ({"traced": True}, "traced"),
        ({"stopped": True}, "stopped early"),
        ({"stalled": True}, "stalled"),
    )
    for changes, word in told:
        assert word in (appraised(replace(CALM, **changes)).why_not or "")


def test_lateness_spoils_the_percentiles_that_it_changes_and_no_others() -> None:
    late = replace(TIMES, p99_us=4_500.0, p999_us=60_000.0)
    found = appraised(OPEN, with_response(late, TIMES)).fitness
    assert [found[name] is None for name in PERCENTILES] == [True, True, False, False]
    assert "0.50 ms of its 4.50 ms" in (found[P99] or "")
    assert found["plaintext.p99_us"] is None, "of that kind it changed nothing"
    assert found[COST] is found[RATE] is None


def test_real_time_priority_is_recommended_to_those_who_do_not_have_it() -> None:
    late = with_response(replace(TIMES, p99_us=4_500.0), TIMES)
    ways = ((OPEN, True), (replace(OPEN, realtime=True), False), (replace(OPEN, placement="shared"), False))
    for evidence, advised in ways:
        assert ("Real-time priority" in (appraised(evidence, late).fitness[P99] or "")) == advised


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_lateness_is_judged_by_its_share_or_by_a_quarter_of_a_millisecond(exact: float, gap: float) -> None:
    summary = with_response(replace(TIMES, p99_us=exact + gap), replace(TIMES, p99_us=exact))
    allowed = max(LATENESS_SHARE_MAX * exact, LATENESS_MIN_US)
    gap = (exact + gap) - exact  # as floats have it
    assert (appraised(OPEN, summary).fitness[P99] is None) == (gap <= allowed)
    assert resolution_us(Figure(P99), summary) == gap


def test_a_percentile_beyond_the_data_is_not_fit_and_one_of_before_0_2_is_not_doubted() -> None:
    few = with_response(replace(TIMES, count=50, p99_us=None), TIMES)
    assert "too few requests for it: 50" in (appraised(OPEN, few).fitness[P99] or "")
    assert appraised(OPEN, with_response(TIMES, None)).fitness[P99] is None
    assert resolution_us(Figure(P99), with_response(TIMES, None)) is None


def test_reasons_are_told_once_with_the_figures_that_they_spoil() -> None:
    busy = spoiled(appraised(replace(CALM, generator_utilisation=0.9)))
    (names,) = busy.values()
    assert names.startswith("throughput, p50 response time") and "CPU" not in names
    assert spoiled(appraised(replace(CALM, traced=True))) == {
        "It was traced, which costs each request some CPU.": "every figure"
    }
    assert spoiled(appraised(CALM)) == {}
    few = with_response(replace(TIMES, p999_us=None), TIMES)
    assert spoiled(appraised(CALM, few)) == {}, "what is missing is shown as missing"


def test_a_search_that_was_cut_short_has_no_fit_answer() -> None:
    verdict = appraise(judge(OPEN), OPEN, SUMMARY, of_summary(SUMMARY, searched=True), "kept_per_s")
    assert verdict.rankable
    cut = unfit(verdict, ["kept_per_s"], "The time was over.")
    assert (cut.rankable, cut.why_not, cut.fitness[COST]) == (False, "The time was over.", None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_names_a_figure_that_its_runs_have(name: str) -> None:
    scenario = SCENARIOS[name]
    plan = Plan.from_json(scenario.plan)
    assert main_figure(scenario, plan) == scenario.figure
    assert figure(scenario.figure).label in ("", *(work.label for work in plan.work))


def test_the_figure_of_a_scenario_whose_work_was_changed_is_the_usual_one() -> None:
    scenario = SCENARIOS["slow-handler"]
    plan = replace(Plan.from_json(scenario.plan), work=(Work("plaintext"),))
    assert main_figure(scenario, plan) == COST
    assert (
        main_figure(None, Plan()) == RATE
        and main_figure(None, Plan(executor="find-capacity")) == "kept_per_s"
    )


def test_names_of_figures_are_read_as_they_are_written() -> None:
    for each in of_summary(SUMMARY, searched=True):
        assert figure(str(each)) == each and each.title
        assert each.text(None) == "–" and each.text(1234.5)
    for wrong in ("", "speed", "plaintext.cpu_us", "p42_us"):
        with pytest.raises(KeyError):
            Figure.parse(wrong)
    assert {Figure(name).family for name in LEDGER} == {Family.COST}


@given(ANY)
def test_whatever_happened_each_figure_is_fit_or_has_its_reason(evidence: Evidence) -> None:
    found = appraised(evidence)
    assert all(reason is None or reason.strip() for reason in found.fitness.values())
    assert found.rankable == (found.fitness[RATE] is None) and (found.why_not is None) == found.rankable
    if evidence.died or evidence.stopped:
        assert all(found.fitness.values())
