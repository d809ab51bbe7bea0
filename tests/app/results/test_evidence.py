"""Evidence of a trial with load groups: all processes of the generator count, and all their requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import LoadGroup, Plan
from app.machine.cpu_placement import Placement
from app.results.evidence import Conditions, Evidence, evidence
from app.results.ledger import _generator
from app.results.observation import Observation
from app.results.summary import responses_received, summarise
from app.results.verdict import judge
from tests.load.outcomes import closed_outcome

# 0.5 of a CPU, 100 requests.
LOAD = replace(closed_outcome([1000] * 50, [1000] * 50), errors={}, in_flight_ns=100_000_000, run_queue_ns=0)
PLAN = Plan(vus=8, groups=(LoadGroup("new", rate_per_s=50.0),))


def seen(outcome: Outcome, plan: Plan = PLAN) -> Evidence:
    conditions = Conditions(Placement("split", (0,), (1,)))
    observation = Observation("reactor-1", "reactor", "Reactor", answered=responses_received(outcome))
    return evidence(plan, outcome, summarise(outcome), [observation], conditions)


def beside(group: Outcome, **changes: Any) -> Outcome:
    """Return the main load with a group; both run on one CPU."""
    both = LOAD.utilisation + group.utilisation
    return replace(LOAD, groups={"new": group}, busiest=both, **changes)


def test_requests_errors_and_responses_are_those_of_all_loads() -> None:
    found = seen(beside(replace(LOAD, errors={"timeout": 4})))
    assert (found.requests, found.errors) == (200, 4)
    assert found.client_responses == found.server_requests == 2 * responses_received(LOAD)
    assert judge(found).name == "errors_dominate", "2 % of all requests"


def test_processes_on_one_cpu_do_not_look_half_idle() -> None:
    assert judge(seen(LOAD)).name == "unsaturated"
    found = seen(beside(LOAD))
    assert (found.generator_utilisation, found.generator_cpus) == (1.0, 1.0)
    assert judge(found).name == "client_bound"


def test_the_starvation_is_that_of_the_load_that_waited_longest() -> None:
    starved = replace(LOAD, run_queue_ns=600_000_000)
    assert seen(beside(starved, run_queue_ns=100_000_000)).generator_waited == pytest.approx(0.3)
    assert judge(seen(beside(replace(starved, cpu_user_s=0, cpu_system_s=0)))).name == "client_bound"
    assert seen(beside(replace(LOAD, run_queue_ns=None), run_queue_ns=None)).generator_waited is None


def test_littles_law_is_about_the_main_load_and_needs_enough_of_its_requests() -> None:
    many = replace(LOAD, requests=5000)
    assert seen(beside(many)).little_residual is None, "the main load has 100 requests"
    assert seen(beside(LOAD, requests=5000)).little_residual == seen(many).little_residual is not None


def test_the_cost_of_the_generator_is_that_of_all_its_processes() -> None:
    cost = _generator(beside(LOAD))
    assert (cost.cpu_us, cost.utilisation) == (2 * 1.0 * 1e6 / 200, 1.0)


def test_real_time_priority_is_that_of_loads_that_are_all_open() -> None:
    rate = replace(PLAN, executor="constant-arrival-rate", rate_per_s=9.0)
    closed = replace(rate, groups=(LoadGroup("new"),))
    realtime = Conditions(Placement("split", (0,), (1,), "real-time"))
    outcome = beside(LOAD)
    found = [
        evidence(plan, outcome, summarise(outcome), [Observation("a", "b", "c")], realtime)
        for plan in (rate, closed)
    ]
    assert [(each.realtime, each.closed_groups) for each in found] == [(True, False), (False, True)]
