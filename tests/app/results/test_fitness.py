"""Validity of the figures of a trial: an event invalidates the figures that it changes, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.histogram import Percentiles
from app.load.protocol.plan import LoadGroup, Plan, Work
from app.plans.scenarios import SCENARIOS
from app.results.evidence import Evidence
from app.results.figures import LEDGER, PERCENTILES, Family, Figure, all_figures, figure
from app.results.fitness import (
    LATENESS_MIN_US,
    LATENESS_SHARE_MAX,
    assess_figures,
    invalid_figures,
    invalidate,
    lateness_effect_us,
    main_figure,
)
from app.results.verdict import judge
from app.schemas.result import Fairness, KindSummary, Latency, Summary, Verdict
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


def assessed(evidence: Evidence, summary: Summary = SUMMARY, main: str = RATE) -> Verdict:
    return assess_figures(judge(evidence), evidence, summary, all_figures(summary, is_search=False), main)


def valid(evidence: Evidence, *names: str) -> tuple[bool, ...]:
    found = assessed(evidence).fitness
    return tuple(found[name] is None for name in names)


def with_response(raw: Percentiles, corrected: Percentiles | None) -> Summary:
    return replace(SUMMARY, latency=Latency(TIMES, raw, corrected))


# Event, and whether CPU per request, throughput and p99 are valid after it.
EVENTS: dict[str, tuple[Evidence, dict[str, Any], tuple[bool, bool, bool]]] = {
    "no event": (CALM, {}, (True, True, True)),
    "no event, open load": (OPEN, {}, (True, True, True)),
    "late sends without effect": (OPEN, {"late_share": 0.5}, (True, True, True)),
    "load generator saturated": (CALM, {"generator_utilisation": 0.9}, (True, False, False)),
    "load generator starved": (OPEN, {"generator_waited": 0.5}, (True, False, False)),
    "connections dropped by the kernel": (CALM, {"listen_drops": 3}, (True, False, False)),
    "Little's law violated": (OPEN, {"little_residual": 0.5}, (True, False, False)),
    "target rate missed for lack of connections": (MISSED, {}, (False, False, False)),
    "target rate missed by a saturated server": (
        MISSED,
        {"occupancy": {"reactor": 0.99}},
        (False, True, True),
    ),
    "server saturated": (CALM, {"occupancy": {"reactor": 0.99}}, (True, True, True)),
    "errors": (CALM, {"errors": 5_000}, (False, False, False)),
    "no response": (CALM, {"requests": 0}, (False, False, False)),
    "engine died": (CALM, {"died": "It ended."}, (False, False, False)),
    "worker process lost": (CALM, {"lost": "A worker process ended."}, (False, False, False)),
    "stopped early": (CALM, {"stopped": True}, (False, False, False)),
    "server paused": (OPEN, {"stalled": True}, (False, False, False)),
    "traced": (CALM, {"traced": True}, (False, False, False)),
    "hot swap": (CALM, {"swaps": 1}, (False, False, False)),
    "concurrent runs": (CALM, {"concurrent_runs": 1}, (False, False, False)),
    "shared CPUs": (CALM, {"placement": "shared"}, (True, False, False)),
    "shared CPUs, light load generator": (
        CALM,
        {"placement": "shared", "generator_utilisation": 0.1},
        (True, True, True),
    ),
    "shared CPUs, open load": (OPEN, {"placement": "shared"}, (True, True, True)),
}


@pytest.mark.parametrize("case", EVENTS)
def test_an_event_invalidates_only_the_figures_that_it_changes(case: str) -> None:
    evidence, changes, expected = EVENTS[case]
    assert valid(replace(evidence, **changes), COST, RATE, P99) == expected


def test_a_run_is_rankable_if_its_main_figure_is_valid() -> None:
    busy = replace(CALM, generator_utilisation=0.9)
    assert assessed(busy, main=COST).rankable and not assessed(busy, main=RATE).rankable
    assert assessed(busy, main=COST).why_not is None
    assert "CPU utilisation was 90 % (limit 85 %)" in (assessed(busy, main=RATE).why_not or "")
    assert not assessed(CALM, main="kept_per_s").rankable, "the run has no such figure"


def test_the_reason_names_the_event_and_not_the_verdict() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"traced": True}, "tracing was on"),
        ({"stopped": True}, "stopped early"),
        ({"stalled": True}, "pauses the server"),
    )
    for changes, words in cases:
        assert words in (assessed(replace(CALM, **changes)).why_not or "")


def test_lateness_invalidates_only_the_percentiles_that_it_changes() -> None:
    late = replace(TIMES, p99_us=4_500.0, p999_us=60_000.0)
    found = assessed(OPEN, with_response(late, TIMES)).fitness
    assert [found[name] is None for name in PERCENTILES] == [True, True, False, False]
    assert "500 µs of 4.50 ms" in (found[P99] or "")
    assert found["plaintext.p99_us"] is None, "this work kind was not affected"
    assert found[COST] is found[RATE] is None


def test_real_time_priority_is_recommended_only_where_it_is_missing() -> None:
    late = with_response(replace(TIMES, p99_us=4_500.0), TIMES)
    cases = ((OPEN, True), (replace(OPEN, realtime=True), False), (replace(OPEN, placement="shared"), False))
    for evidence, is_recommended in cases:
        assert ("Real-time priority" in (assessed(evidence, late).fitness[P99] or "")) == is_recommended


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_lateness_up_to_ten_percent_or_250_us_is_allowed(exact: float, gap: float) -> None:
    summary = with_response(replace(TIMES, p99_us=exact + gap), replace(TIMES, p99_us=exact))
    allowed = max(LATENESS_SHARE_MAX * exact, LATENESS_MIN_US)
    gap = (exact + gap) - exact  # as floats have it
    assert (assessed(OPEN, summary).fitness[P99] is None) == (gap <= allowed)
    assert lateness_effect_us(Figure(P99), summary) == gap


def test_a_percentile_of_too_few_samples_is_invalid_and_one_without_corrected_times_is_valid() -> None:
    few = with_response(replace(TIMES, count=50, p99_us=None), TIMES)
    assert "Too few requests (50)" in (assessed(OPEN, few).fitness[P99] or "")
    assert assessed(OPEN, with_response(TIMES, None)).fitness[P99] is None
    assert lateness_effect_us(Figure(P99), with_response(TIMES, None)) is None


def test_each_reason_is_listed_once_with_its_figures() -> None:
    busy = invalid_figures(assessed(replace(CALM, generator_utilisation=0.9)))
    (names,) = busy.values()
    assert names.startswith("throughput, p50 response time") and "CPU" not in names
    assert invalid_figures(assessed(replace(CALM, traced=True))) == {
        "Thread tracing was on, which adds CPU time to each request.": "every figure"
    }
    assert invalid_figures(assessed(CALM)) == {}
    few = with_response(replace(TIMES, p999_us=None), TIMES)
    assert invalid_figures(assessed(CALM, few)) == {}, "pages show it as missing"


def test_an_incomplete_capacity_search_has_no_valid_result() -> None:
    verdict = assess_figures(judge(OPEN), OPEN, SUMMARY, all_figures(SUMMARY, is_search=True), "kept_per_s")
    assert verdict.rankable
    cut = invalidate(verdict, ["kept_per_s"], "The time budget was used up.")
    assert (cut.rankable, cut.why_not, cut.fitness[COST]) == (False, "The time budget was used up.", None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_main_figure_of_every_scenario_exists(name: str) -> None:
    scenario = SCENARIOS[name]
    plan = Plan.from_json(scenario.plan)
    assert main_figure(scenario, plan) == scenario.figure
    assert figure(scenario.figure).label in ("", *(work.label for work in plan.work))


def test_a_scenario_with_other_work_falls_back_to_the_default_figure() -> None:
    scenario = SCENARIOS["slow-handler"]
    plan = replace(Plan.from_json(scenario.plan), work=(Work("plaintext"),))
    assert main_figure(scenario, plan) == COST
    assert (
        main_figure(None, Plan()) == RATE
        and main_figure(None, Plan(executor="find-capacity")) == "kept_per_s"
    )


def test_figure_names_can_be_parsed_again() -> None:
    for each in all_figures(SUMMARY, is_search=True):
        assert figure(str(each)) == each and each.title
        assert each.text(None) == "–" and each.text(1234.5)
    for wrong in ("", "speed", "plaintext.cpu_us", "p42_us"):
        with pytest.raises(KeyError):
            Figure.parse(wrong)
    assert {Figure(name).family for name in LEDGER} == {Family.COST}


NEW = replace(SUMMARY, offered_per_s=200.0, achieved_per_s=200.0, rate_ratio=1.0)
FAIR = Fairness(64, 100, 200, 150.0, 0.98)
WITH_GROUP = replace(SUMMARY, fairness=FAIR, groups={"new": NEW})


def test_figures_of_a_group_have_its_name_before_a_colon() -> None:
    names = {str(each) for each in all_figures(WITH_GROUP, is_search=False)}
    own = {each for each in names if ":" in each}
    kinds = ("", "plaintext.", "sleep ms=50.")
    assert own == {"new:achieved_per_s", *(f"new:{kind}{name}" for kind in kinds for name in PERCENTILES)}
    assert "jain" in names, "the main load has requests per connection, the group has none"
    assert "new:jain" in {
        str(each)
        for each in all_figures(
            replace(SUMMARY, groups={"new": replace(NEW, fairness=FAIR)}), is_search=False
        )
    }
    for each in map(figure, names):
        assert each.title.endswith(" in group new") == (each.group == "new") and figure(str(each)) == each
    for wrong in ("new:cpu_us", "new:kept_per_s", "New:p99_us", ":p99_us", "new:speed", "a:b:p99_us"):
        with pytest.raises(KeyError):
            Figure.parse(wrong)


def test_a_figure_of_a_group_has_the_value_of_the_group() -> None:
    other = replace(NEW, achieved_per_s=7.0, latency=Latency(TIMES, replace(TIMES, p99_us=5.0), TIMES))
    summary = replace(WITH_GROUP, groups={"new": other})
    values = {
        name: figure(name).value(summary, None) for name in ("new:p99_us", "new:achieved_per_s", "jain")
    }
    assert values == {"new:p99_us": 5.0, "new:achieved_per_s": 7.0, "jain": 0.98}
    assert figure("other:p99_us").value(summary, None) is None
    assert figure("jain").value(SUMMARY, None) is None and not figure("jain").lower_is_better


GROUPS: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"errors": {"timeout": 2_000}}, "2 % of the requests of load group new failed"),
    "missed its rate": ({"rate_ratio": 0.95}, "95 % of the target rate of load group new"),
    "no response": ({"requests": 0, "errors": {}}, "no responses to load group new"),
}


@pytest.mark.parametrize("case", GROUPS)
def test_what_happens_to_a_group_invalidates_its_own_figures_only(case: str) -> None:
    changes, words = GROUPS[case]
    found = assessed(CALM, replace(WITH_GROUP, groups={"new": replace(NEW, **changes)})).fitness
    assert all(words in (found[name] or "") for name in found if name.startswith("new:"))
    assert all(found[name] is None for name in found if not name.startswith("new:"))


def test_percentiles_of_a_group_are_judged_by_its_own_samples_and_lateness() -> None:
    late = Latency(TIMES, replace(TIMES, p99_us=9_000.0, p999_us=None), TIMES)
    found = assessed(OPEN, replace(WITH_GROUP, groups={"new": replace(NEW, latency=late)})).fitness
    assert "Late sends" in (found["new:p99_us"] or "") and "Too few requests" in (found["new:p999_us"] or "")
    assert found["p99_us"] is found["new:p50_us"] is None


def test_a_saturated_generator_does_not_invalidate_fairness() -> None:
    busy = replace(CALM, generator_utilisation=0.9)
    found = assessed(busy, WITH_GROUP).fitness
    assert (found["jain"], found[RATE] is None) == (None, False)
    assert "stopped early" in (assessed(replace(CALM, stopped=True), WITH_GROUP).fitness["jain"] or "")


@pytest.mark.parametrize(("mean", "is_valid"), [(9.9, False), (10.0, True)])
def test_fairness_needs_ten_requests_per_connection(mean: float, is_valid: bool) -> None:
    summary = replace(SUMMARY, fairness=replace(FAIR, requests_mean=mean))
    assert (assessed(CALM, summary).fitness["jain"] is None) == is_valid


def test_a_closed_group_on_shared_cpus_is_judged_as_a_closed_load() -> None:
    shared = replace(OPEN, placement="shared", closed_groups=True)
    assert assessed(shared, WITH_GROUP).fitness[RATE]
    assert assessed(replace(shared, generator_cpus=0.1), WITH_GROUP).fitness[RATE] is None
    assert assessed(replace(shared, generator_utilisation=0.06, generator_cpus=0.12), WITH_GROUP).fitness[
        RATE
    ]


def test_a_figure_of_a_group_can_be_the_main_figure_if_the_plan_has_the_group() -> None:
    scenario = replace(SCENARIOS["sprint"], figure="new:p99_us")
    assert main_figure(scenario, Plan(groups=(LoadGroup("new"),))) == "new:p99_us"
    assert main_figure(scenario, Plan()) == RATE


@given(ANY)
def test_each_figure_is_valid_or_has_a_reason(evidence: Evidence) -> None:
    found = assessed(evidence)
    assert all(reason is None or reason.strip() for reason in found.fitness.values())
    assert found.rankable == (found.fitness[RATE] is None) and (found.why_not is None) == found.rankable
    if evidence.died or evidence.stopped:
        assert all(found.fitness.values())
