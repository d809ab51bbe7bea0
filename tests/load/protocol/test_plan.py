"""Plans as JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.plan import EXECUTORS, KINDS, SPACINGS, Plan, Work

WORKS = st.builds(
    Work, st.sampled_from(KINDS), st.integers(1, 100), st.dictionaries(st.sampled_from("n"), st.just(5))
)


PLANS = st.builds(
    Plan,
    executor=st.sampled_from(EXECUTORS),
    vus=st.integers(1, 1000),
    rate_per_s=st.none() | st.floats(1, 1e5),
    spacing=st.sampled_from(SPACINGS),
    duration_s=st.floats(0.1, 100),
    work=st.lists(WORKS, min_size=1, max_size=4).map(tuple),
)


@given(PLANS)
def test_a_plan_is_the_same_after_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
