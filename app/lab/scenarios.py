"""Scenarios: named plans, each with one sentence on what to watch."""

from __future__ import annotations

from app.lab.views import ScenarioView
from app.load.plan import Plan, Work


def _scenario(name: str, title: str, watch: str, plan: Plan) -> ScenarioView:
    return ScenarioView(name, title, watch, plan.to_json())


SCENARIOS: dict[str, ScenarioView] = {
    each.name: each
    for each in (
        _scenario(
            "sprint",
            "As fast as it goes",
            "the verdict: on few cores a plaintext ceiling is often the generator's, and then it says client bound.",
            Plan(vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "equal-rate",
            "The same rate for everyone",
            "CPU per request: at one rate that all models keep, it is the honest price of each model.",
            Plan(executor="constant-arrival-rate", rate_per_s=10_000, vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "slow-handler",
            "One slow handler among fast ones",
            "the p99 of plaintext: one in a hundred sleeps 50 ms, and on a single thread all others wait for it.",
            Plan(
                executor="constant-arrival-rate",
                rate_per_s=400,
                spacing="poisson",
                vus=64,
                duration_s=10,
                warmup_s=2,
                work=(Work("plaintext", 99), Work("sleep", 1, {"ms": 50})),
            ),
        ),
        _scenario(
            "idle-crowd",
            "A thousand idle connections",
            "threads and memory: silent connections cost the blocking model a thread each, the others a descriptor.",
            Plan(vus=64, duration_s=10, warmup_s=2, idle_connections=1000),
        ),
        _scenario(
            "cpu-gil",
            "Handlers that hold the GIL",
            "the CPU line stop at one core, whatever the model: threads take turns at the one interpreter lock.",
            Plan(vus=16, duration_s=10, warmup_s=2, work=(Work("cpu", 1, {"us": 1000}),), placement="shared"),
        ),
        _scenario(
            "hash-no-gil",
            "The same work, without the GIL",
            "models with several handler threads pass one core now; a single reactor cannot.",
            Plan(vus=16, duration_s=10, warmup_s=2, work=(Work("hash", 1, {"us": 1000}),), placement="shared"),
        ),
    )
}
