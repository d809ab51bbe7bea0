"""Plans as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.plan import EXECUTORS, KINDS, SPACINGS, LoadGroup, Plan, Stage, Work

WORKS = st.builds(
    Work, st.sampled_from(KINDS), st.integers(1, 100), st.dictionaries(st.sampled_from("n"), st.just(5))
)


GROUPS = st.builds(
    LoadGroup,
    name=st.text("abc-", min_size=1),
    vus=st.integers(1, 9),
    rate_per_s=st.none() | st.floats(1, 1e5),
    churn=st.booleans(),
    work=st.lists(WORKS, min_size=1, max_size=2).map(tuple),
)
PLANS = st.builds(
    Plan,
    executor=st.sampled_from(EXECUTORS),
    vus=st.integers(1, 1000),
    rate_per_s=st.none() | st.floats(1, 1e5),
    spacing=st.sampled_from(SPACINGS),
    duration_s=st.floats(0.1, 100),
    work=st.lists(WORKS, min_size=1, max_size=4).map(tuple),
    groups=st.lists(GROUPS, max_size=2).map(tuple),
)


@given(PLANS)
def test_a_plan_is_the_same_after_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_group_shares_times_and_spacing_with_the_plan_and_has_its_own_load() -> None:
    new = LoadGroup("new", vus=3, rate_per_s=50.0, churn=True, work=(Work("hash", params={"us": 9}),))
    closed = LoadGroup("closed", think_time_ms=4.0)
    plan = Plan(
        "ramping-arrival-rate",
        rate_per_s=9.0,
        spacing="poisson",
        stages=(Stage(4.0, 20.0),),
        duration_s=4.0,
        warmup_s=1.0,
        timeout_s=7.0,
        shards=2,
        stall_ms=100,
        pipeline=1,
        idle_connections=5,
        trace=True,
        groups=(new, closed),
    )
    assert plan.group_load(new) == Plan(
        "constant-arrival-rate",
        vus=3,
        rate_per_s=50.0,
        spacing="poisson",
        duration_s=4.0,
        warmup_s=1.0,
        timeout_s=7.0,
        trace=True,
        work=new.work,
        churn=True,
    )
    second = plan.group_load(closed)
    assert (second.executor, second.vus, second.think_time_ms) == ("constant-vus", 8, 4.0)
    assert plan.main_load == replace(plan, groups=()) and plan.main_load.connections == 64 + 5
    assert plan.connections == 64 + 5 + 3 + 8
    assert not plan.is_all_open and replace(plan, groups=(new,)).is_all_open and plan.is_open
