"""A plan in words: one line with everything that differs from the defaults, and a short title."""

from __future__ import annotations

from collections.abc import Iterator

from app.load.protocol.plan import LoadGroup, Plan
from app.schemas.scenario import ScenarioView


def describe(plan: Plan) -> str:
    """Return the plan in one line: "64 connections, closed loop, 10 s after 2 s of warm-up"."""
    duration = f"{plan.duration_s:g} s after {plan.warmup_s:g} s of warm-up"
    if plan.executor == "find-capacity":
        duration = f"trials of {duration}"
    return ", ".join([_load(plan), *_requests(plan), *_extras(plan), duration])


def title(model_title: str, plan: Plan, scenario: ScenarioView | None = None) -> str:
    """Return the title of a run: that of its scenario, or "Reactor pool · 600 req/s · 92 % plaintext"."""
    return scenario_title(scenario, plan) or f"{model_title} · {load_title(plan)}"


def scenario_title(scenario: ScenarioView | None, plan: Plan) -> str | None:
    """Return the title of the scenario; None: no scenario, or the plan overrides a number in the title.

    Titles such as "Fixed rate: 10,000 req/s" are wrong if the request overrides the rate.
    """
    if scenario is None or load_title(plan) != load_title(Plan.from_json(scenario.plan)):
        return None
    return scenario.title


def load_title(plan: Plan) -> str:
    """Return the load in a few words: "600 req/s · 92 % plaintext"."""
    parts = [_rate_title(plan)]
    weights = sum(work.weight for work in plan.work)
    main = max(plan.work, key=lambda work: work.weight)
    if len(plan.work) > 1:
        parts.append(f"{100 * main.weight / weights:.3g} % {main.kind}")
    elif main.kind != "plaintext":
        parts.append(main.label)
    parts += ["no keep-alive"] if plan.churn else []
    parts += [f"pipelining depth {plan.pipeline}"] if plan.pipeline > 1 else []
    parts += [f"{plan.idle_connections:,} idle connections"] if plan.idle_connections else []
    parts += [f"server paused for {plan.stall_ms:,} ms"] if plan.stall_ms else []
    parts += [f"group {group.name}" for group in plan.groups]
    return " · ".join(parts)


def _rate_title(plan: Plan) -> str:
    match plan.executor:
        case "constant-arrival-rate":
            return f"{plan.rate_per_s:,.6g} req/s"
        case "ramping-arrival-rate":
            return f"ramp to {plan.stages[-1].target:,.6g} req/s"
        case "ramping-vus":
            return f"ramp to {plan.stages[-1].target:,.6g} connections"
        case "find-capacity":
            return f"capacity for {plan.objective}"
    return f"{plan.vus:,} connections"


def _load(plan: Plan) -> str:
    most = f"at most {plan.vus:,} connections"
    ramp = "".join(f", then to {stage.target:,.6g} in {stage.duration_s:g} s" for stage in plan.stages)
    match plan.executor:
        case "constant-arrival-rate":
            return f"{plan.rate_per_s:,.6g} req/s ({plan.spacing}), {most}"
        case "ramping-arrival-rate":
            return f"{plan.rate_per_s:,.6g} req/s ({plan.spacing}){ramp}, {most}"
        case "find-capacity":
            start = f", starting at {plan.rate_per_s:,.6g} req/s" if plan.rate_per_s else ""
            return f"highest rate that meets {plan.objective}{start}, {most}"
    think_time = f" with {plan.think_time_ms:g} ms think time" if plan.think_time_ms else ""
    return f"{plan.vus:,} connections{ramp}, closed loop{think_time}"


def _requests(plan: Plan) -> Iterator[str]:
    if [work.kind for work in plan.work] != ["plaintext"]:
        weights = sum(work.weight for work in plan.work)
        yield " + ".join(f"{100 * work.weight / weights:.3g} % {work.label}" for work in plan.work)
    if plan.churn:
        yield "a new connection for each request"
    if plan.pipeline > 1:
        yield f"pipelining depth {plan.pipeline}"
    if plan.timeout_s != Plan().timeout_s:
        yield f"timeout {plan.timeout_s:g} s"


def _extras(plan: Plan) -> Iterator[str]:
    for count, what in (
        (plan.idle_connections, "idle connections"),
        (plan.slow_readers, "slow readers"),
        (plan.slow_writers, "slow writers"),
    ):
        if count:
            yield f"{count:,} {what}"
    for group in plan.groups:
        yield f"load group {group.name} ({_group(group)})"
    if plan.stall_ms:
        yield f"server paused for {plan.stall_ms:,} ms"
    if plan.shards > 1:
        yield f"{plan.shards} load-generator processes"
    if plan.trace:
        yield "thread trace"


def _group(group: LoadGroup) -> str:
    """Return a load group in words: "8 connections, 200 req/s, a new connection for each request"."""
    plan = Plan().group_load(group)
    rate = f"{group.rate_per_s:,.6g} req/s, at most " if group.rate_per_s else ""
    think_time = f", {group.think_time_ms:g} ms think time" if group.think_time_ms else ""
    return ", ".join([f"{rate}{group.vus:,} connections{think_time}", *_requests(plan)])
