"""A plan in one line, with all of it that is not the usual."""

from __future__ import annotations

from collections.abc import Iterator

from app.load.protocol.plan import Plan


def words(plan: Plan) -> str:
    """The plan in one line."""
    length = f"{plan.duration_s:g} s after {plan.warmup_s:g} s of warm-up"
    if plan.executor == "find-capacity":
        length = f"trials of {length}"
    return ", ".join([_load_words(plan), *_manner_words(plan), *_crowd_words(plan), length])


def _load_words(plan: Plan) -> str:
    most = f"at most {plan.vus:,} connections"
    path = "".join(f", then {stage.target:,.6g} in {stage.duration_s:g} s" for stage in plan.stages)
    match plan.executor:
        case "constant-arrival-rate":
            return f"{plan.rate_per_s:,.6g} requests a second ({plan.spacing}), {most}"
        case "ramping-arrival-rate":
            return f"{plan.rate_per_s:,.6g} requests a second ({plan.spacing}){path}, {most}"
        case "find-capacity":
            start = f", from {plan.rate_per_s:,.6g} a second on" if plan.rate_per_s else ""
            return f"the highest rate that keeps {plan.objective}{start}, {most}"
    thought = f" after {plan.think_time_ms:g} ms of thought" if plan.think_time_ms else ""
    return f"{plan.vus:,} connections{path}, as fast as answers come{thought}"


def _manner_words(plan: Plan) -> Iterator[str]:
    if [work.kind for work in plan.work] != ["plaintext"]:
        weights = sum(work.weight for work in plan.work)
        yield " + ".join(f"{100 * work.weight / weights:.3g} % {work.label}" for work in plan.work)
    if plan.churn:
        yield "a new connection for each request"
    if plan.pipeline > 1:
        yield f"{plan.pipeline} requests at a time on each"
    if plan.timeout_s != Plan().timeout_s:
        yield f"given up after {plan.timeout_s:g} s"


def _crowd_words(plan: Plan) -> Iterator[str]:
    for many, who in (
        (plan.idle_connections, "idle beside them"),
        (plan.slow_readers, "slow readers"),
        (plan.slow_writers, "slow writers"),
    ):
        if many:
            yield f"{many:,} {who}"
    if plan.stall_ms:
        yield f"a stall of {plan.stall_ms:,} ms in the middle"
    if plan.shards > 1:
        yield f"{plan.shards} shards"
    if plan.trace:
        yield "traced"
