"""Plans: wrong fields are refused with their pointer, and valid plans are described in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.plan_options import plan_of
from app.errors import Invalid
from app.load.protocol import histogram
from app.load.protocol.plan import Plan
from app.machine import cpu_placement
from app.plans.describe import describe, scenario_title, title
from app.plans.scenarios import SCENARIOS
from app.plans.validate import validate_plan
from app.settings import Settings
from tests.app.command_line import parsed

DESCRIPTORS = 20_000
OPEN, RAMP, RATES, SEARCH = "constant-arrival-rate", "ramping-vus", "ramping-arrival-rate", "find-capacity"
PLAINTEXT = {"kind": "plaintext", "weight": 1, "params": {}}
UP = [{"duration_s": 2, "target": 32}]


def plan(**fields: Any) -> Plan:
    return validate_plan(fields, Settings(), DESCRIPTORS)


@pytest.fixture
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_placement, "usable_cpus", lambda: (0, 1, 2, 3))


WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a ramp without stages": ({"executor": RAMP}, ("stages",)),
    "stages without a ramp": ({"stages": UP}, ("stages",)),
    "too many stages": ({"executor": RAMP, "stages": UP * 51}, ("stages",)),
    "a fraction of a connection": (
        {"executor": RAMP, "stages": [{"duration_s": 1, "target": 1.5}]},
        ("stages/0/target",),
    ),
    "a ramp above the connection limit": (
        {"executor": RAMP, "stages": [*UP, {"duration_s": 1, "target": 10**6}]},
        ("stages/1/target",),
    ),
    "a stage too short": (
        {"executor": RATES, "rate_per_s": 9, "stages": [{"duration_s": 0, "target": 9}]},
        ("stages/0/duration_s",),
    ),
    "a ramp above the rate limit": (
        {"executor": RATES, "rate_per_s": 9, "stages": [{"duration_s": 1, "target": 10**9}]},
        ("stages/0/target",),
    ),
    "a ramp too long": ({"executor": RAMP, "stages": [{"duration_s": 400, "target": 2}] * 2}, ("stages",)),
    "a rate ramp without a start rate": ({"executor": RATES, "stages": UP}, ("rate_per_s",)),
    "a search without an objective": ({"executor": SEARCH}, ("objective",)),
    "an objective with a lower limit": ({"executor": SEARCH, "objective": "p(99)>20ms"}, ("objective",)),
    "an objective without a latency": ({"executor": SEARCH, "objective": "verdict==noisy"}, ("objective",)),
    "an objective that cannot be parsed": ({"executor": SEARCH, "objective": "fast"}, ("objective",)),
    "a search with Poisson spacing": (
        {"executor": SEARCH, "objective": "max<1s", "spacing": "poisson"},
        ("spacing",),
    ),
    "a search with a server pause": (
        {"executor": SEARCH, "objective": "max<1s", "stall_ms": 100},
        ("stall_ms",),
    ),
    "an objective without a search": ({"objective": "max<1s"}, ("objective",)),
    "a rate in a closed loop": ({"rate_per_s": 100}, ("rate_per_s",)),
    "a wrong rate in a closed loop": ({"rate_per_s": -5}, ("rate_per_s",)),
    "Poisson spacing in a closed loop": ({"spacing": "poisson"}, ("spacing",)),
    "a duration beside stages": ({"executor": RAMP, "stages": UP, "duration_s": 3}, ("duration_s",)),
    "churn with pipelining": ({"churn": True, "pipeline": 2}, ("pipeline",)),
    "pipelining in an open loop": (
        {"executor": "constant-arrival-rate", "rate_per_s": 100, "pipeline": 2},
        ("pipeline",),
    ),
    "pipelining too deep": ({"pipeline": 65}, ("pipeline",)),
    "think time in an open loop": (
        {"executor": OPEN, "rate_per_s": 9, "think_time_ms": 1},
        ("think_time_ms",),
    ),
    "think time with pipelining": ({"pipeline": 4, "think_time_ms": 1}, ("think_time_ms",)),
    "a pause of most of the measured time": ({"stall_ms": 900, "duration_s": 1}, ("stall_ms",)),
    "a pause above its maximum": ({"stall_ms": 60_000, "duration_s": 300}, ("stall_ms",)),
    "too many slow clients": ({"slow_readers": 1001, "slow_writers": -1}, ("slow_readers", "slow_writers")),
    "too many connections in total": (
        {"vus": 14_000, "slow_writers": 1000, "idle_connections": 500},
        ("idle_connections",),
    ),
    "more shards than connections": ({"vus": 1, "shards": 2, "placement": "shared"}, ("shards",)),
    "more shards than CPUs": ({"shards": 999}, ("shards",)),
    "no shard": ({"shards": 0}, ("shards",)),
    "groups in a search": (
        {"executor": SEARCH, "objective": "max<1s", "groups": [{"name": "new"}]},
        ("groups",),
    ),
    "too many groups": ({"groups": [{"name": f"g{i}"} for i in range(5)]}, ("groups",)),
    "groups with the same name": ({"groups": [{"name": "new"}] * 2}, ("groups/1/name",)),
    "groups with bad names": (
        {"groups": [{"name": name} for name in ("", "New", "a:b", "x" * 21)]},
        tuple(f"groups/{i}/name" for i in range(4)),
    ),
    "values of a group out of bounds": (
        {"groups": [{"name": "a", "vus": 0, "rate_per_s": -1, "churn": 1, "think_time_ms": 10**6}]},
        ("groups/0/vus", "groups/0/rate_per_s", "groups/0/churn", "groups/0/think_time_ms"),
    ),
    "a rate of 0": ({"groups": [{"name": "a", "rate_per_s": 0}]}, ("groups/0/rate_per_s",)),
    "think time of a group with a rate": (
        {"groups": [{"name": "a"}, {"name": "b", "rate_per_s": 9, "think_time_ms": 1}]},
        ("groups/1/think_time_ms",),
    ),
    "wrong work of a group": (
        {"groups": [{"name": "a", "work": [{"kind": "sleep", "params": {"ms": -1}}, {"kind": "nap"}]}]},
        ("groups/0/work/0/params/ms", "groups/0/work/1/kind"),
    ),
    "a field that groups do not have": ({"groups": [{"name": "a", "shards": 2}]}, ("",)),
    "too many connections with groups": (
        {"vus": 15_000, "groups": [{"name": "a", "vus": 1000}]},
        ("groups",),
    ),
    "a rate above the limit with groups": (
        {"executor": OPEN, "rate_per_s": 99_000, "groups": [{"name": "a", "rate_per_s": 2000}]},
        ("groups",),
    ),
    "flags that are not Boolean": ({"churn": 1, "trace": "yes"}, ("trace", "churn")),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_plan_is_refused_with_the_pointers_of_its_fields(case: str) -> None:
    fields, names = WRONG[case]
    with pytest.raises(Invalid) as refused:
        plan(**fields)
    pointers = [f"/plan/{name}".rstrip("/") for name in names]
    assert [problem.pointer for problem in refused.value.problems] == pointers
    assert all(problem.detail.endswith(".") for problem in refused.value.problems)


RIGHT: dict[str, tuple[dict[str, Any], str]] = {
    "closed": ({}, "64 connections, closed loop, 10 s after 2 s of warm-up"),
    "think time": ({"think_time_ms": 5}, "64 connections, closed loop with 5 ms think time, 10 s"),
    "open": (
        {"executor": OPEN, "rate_per_s": 12_500.5},
        "12,500.5 req/s (constant), at most 64 conn",
    ),
    "ramp": (
        {"executor": RAMP, "vus": 8, "stages": UP},
        "8 connections, then to 32 in 2 s, closed loop, 2 s",
    ),
    "ramp of a rate": (
        {"executor": RATES, "rate_per_s": 100, "stages": [*UP, {"duration_s": 1, "target": 0}]},
        "100 req/s (constant), then to 32 in 2 s, then to 0 in 1 s, at most 64 connections, 3 s after",
    ),
    "search": (
        {"executor": SEARCH, "objective": "p(99)<20ms", "duration_s": 1},
        "highest rate that meets p(99)<20ms, at most 64 connections, trials of 1 s after",
    ),
    "search with start": (
        {"executor": SEARCH, "objective": "max<1s", "rate_per_s": 50},
        "max<1s, starting at 50 req/s",
    ),
    "churn": ({"churn": True}, "a new connection for each request"),
    "pipeline": ({"pipeline": 16}, "pipelining depth 16"),
    "idle": (
        {"idle_connections": 1000, "slow_readers": 4, "slow_writers": 2},
        "1,000 idle connections, 4 slow readers, 2 slow writers",
    ),
    "pause": ({"stall_ms": 500}, "server paused for 500 ms"),
    "timeout": ({"timeout_s": 1}, "timeout 1 s"),
    "trace": ({"trace": True}, "thread trace"),
    "groups": (
        {
            "groups": [
                {"name": "new", "rate_per_s": 200, "churn": True},
                {"name": "b", "vus": 2, "think_time_ms": 5, "work": [{"kind": "sleep", "params": {"ms": 9}}]},
            ]
        },
        "load group new (200 req/s, at most 8 connections, a new connection for each request), "
        "load group b (2 connections, 5 ms think time, 100 % sleep ms=9), 10 s after",
    ),
    "mix": (
        {"work": [{"kind": "plaintext", "weight": 99}, {"kind": "sleep", "params": {"ms": 50}}]},
        "99 % plaintext + 1 % sleep ms=50",
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_plan_is_described_in_one_line(case: str) -> None:
    fields, expected = RIGHT[case]
    assert expected in describe(plan(**fields))


TITLES: dict[str, tuple[dict[str, Any], str]] = {
    "closed": ({}, "Reactor · 64 connections"),
    "open": (
        {
            "executor": OPEN,
            "rate_per_s": 600,
            "work": [
                {"kind": "plaintext", "weight": 92},
                {"kind": "sleep", "weight": 8, "params": {"ms": 40}},
            ],
        },
        "Reactor · 600 req/s · 92 % plaintext",
    ),
    "one kind": (
        {"work": [{"kind": "sleep", "params": {"ms": 50}}]},
        "Reactor · 64 connections · sleep ms=50",
    ),
    "ramp": ({"executor": RAMP, "vus": 8, "stages": UP}, "Reactor · ramp to 32 connections"),
    "rate ramp": ({"executor": RATES, "rate_per_s": 9, "stages": UP}, "Reactor · ramp to 32 req/s"),
    "search": ({"executor": SEARCH, "objective": "p(99)<20ms"}, "Reactor · capacity for p(99)<20ms"),
    "extras": (
        {"churn": True, "idle_connections": 1000},
        "Reactor · 64 connections · no keep-alive · 1,000 idle connections",
    ),
    "groups": (
        {"groups": [{"name": "new"}, {"name": "b"}]},
        "Reactor · 64 connections · group new · group b",
    ),
    "pipelining": ({"pipeline": 16}, "Reactor · 64 connections · pipelining depth 16"),
}


@pytest.mark.parametrize("case", TITLES)
def test_the_title_of_a_run_without_scenario_names_model_and_load(case: str) -> None:
    fields, expected = TITLES[case]
    assert title("Reactor", plan(**fields)) == expected


def test_a_scenario_title_is_used_unless_the_plan_overrides_its_load() -> None:
    scenario = SCENARIOS["equal-rate"]
    shorter = {**scenario.plan, "duration_s": 1}
    assert title("Reactor", plan(**shorter), scenario) == scenario.title
    assert title("Reactor", plan(**{**shorter, "rate_per_s": 500}), scenario) == "Reactor · 500 req/s"
    pause = SCENARIOS["stall"]
    assert scenario_title(pause, plan(**{**pause.plan, "stall_ms": 200})) is None


@pytest.mark.parametrize("case", RIGHT)
def test_a_stored_plan_is_valid_again(case: str) -> None:
    first = plan(**RIGHT[case][0])
    assert plan(**json.loads(json.dumps(first.to_json()))) == first


def test_a_field_that_the_executor_does_not_use_is_refused_with_those_that_do() -> None:
    with pytest.raises(Invalid, match="rate_per_s is only for constant-arrival-rate, find-capacity, ramping"):
        plan(rate_per_s=100)


def test_each_shard_of_the_load_generator_needs_a_cpu(four_cpus: None) -> None:
    assert "3 load-generator processes" in describe(plan(shards=3))
    with pytest.raises(Invalid, match="leaves 3 CPUs"):
        plan(shards=4)
    assert plan(shards=4, placement="shared").shards == 4
    assert cpu_placement.place("split", (0, 1, 2, 3), 2).to_json() == {
        "mode": "split",
        "engine_cpus": (0, 1),
        "load_cpus": (2, 3),
        "load_priority": "normal",
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_a_valid_plan(name: str) -> None:
    assert describe(validate_plan(SCENARIOS[name].plan, Settings(), DESCRIPTORS))


def test_every_field_of_a_plan_has_a_command_line_flag() -> None:
    given = [
        "--executor",
        RATES,
        "--vus",
        "8",
        "--rate",
        "100",
        "--spacing",
        "poisson",
        "--stage",
        "10s:2000",
        "--stage",
        "0.5m:0",
        "--objective",
        "max<1s",
        "--duration",
        "3",
        "--warmup",
        "1",
        "--work",
        "1 cpu 5us",
        "--churn",
        "--pipeline",
        "4",
        "--think",
        "2",
        "--timeout",
        "1",
        "--idle",
        "9",
        "--slow-readers",
        "1",
        "--slow-writers",
        "2",
        "--stall",
        "5",
        "--shards",
        "2",
        "--placement",
        "shared",
        "--group",
        "new: 3 connections, 20 req/s, churn, 100% plaintext",
        "--group",
        "a: sleep 5ms; b: think 2 ms",
        "--trace",
    ]
    found = plan_of(parsed("run", "reactor", *given))
    assert set(found) == set(Plan().to_json())
    assert found["stages"] == [{"duration_s": 10, "target": 2000}, {"duration_s": 30, "target": 0}]
    assert found["groups"] == [
        {"name": "new", "vus": 3, "rate_per_s": 20, "churn": True, "work": [PLAINTEXT]},
        {"name": "a", "work": [{"kind": "sleep", "weight": 1, "params": {"ms": 5}}]},
        {"name": "b", "think_time_ms": 2},
    ]
    assert plan_of(parsed("run", "reactor")) == {}


@pytest.mark.parametrize("text", ["10s", "x:5", "10s:-5", "10h:5", ""])
def test_a_stage_that_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="10s:2000"):
        plan_of(parsed("run", "reactor", "--stage", text))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "vus": st.integers(-1, 20_000),
            "rate_per_s": st.none() | st.floats(),
            "pipeline": st.integers(-1, 70),
            "executor": st.sampled_from([OPEN, RAMP, RATES, SEARCH, "constant-vus"]),
            "churn": st.booleans(),
            "stages": st.lists(
                st.fixed_dictionaries({"duration_s": st.floats(), "target": st.floats()}), max_size=3
            ),
            "objective": st.none() | st.text("p(9)<=20ms", max_size=12),
            "stall_ms": st.integers(-1, 20_000),
            "duration_s": st.floats(),
            "shards": st.integers(-1, 9),
        },
    )
)
def test_any_plan_is_described_or_refused(fields: dict[str, Any]) -> None:
    try:
        found = plan(**fields)
    except Invalid as refused:
        assert refused.problems
    else:
        assert describe(found) and found.total_s <= 600


def test_no_latency_of_any_plan_exceeds_the_range_of_the_histogram() -> None:
    longest_s = next(
        each.le for each in Settings.model_fields["max_duration_s"].metadata if hasattr(each, "le")
    )
    longest_wait_s = 60
    with pytest.raises(Invalid):
        plan(timeout_s=longest_wait_s + 0.1)
    assert (longest_s + longest_wait_s) * 1e6 <= histogram.HIGHEST_US
