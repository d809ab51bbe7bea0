"""Scenarios: named plans, each with one sentence on what to watch."""

from __future__ import annotations

import resource

from app.load.protocol.plan import Plan, Stage, Work
from app.schemas.scenario import ScenarioView

CROWD = 10_000
ACTIVE = 64
SPARE = 512  # descriptors of an engine or of the generator that are no connections
_HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
_ROOM = CROWD if _HARD == resource.RLIM_INFINITY else max(0, min(CROWD, _HARD - ACTIVE - SPARE))
_SMALLER = (
    "" if _ROOM == CROWD else f" It should be {CROWD:,}, but here are no more than {_HARD:,} descriptors."
)
OPEN = "constant-arrival-rate"


def _scenario(name: str, title: str, figure: str, watch: str, plan: Plan) -> ScenarioView:
    return ScenarioView(name, title, watch, plan.to_json(), figure)


SCENARIOS: dict[str, ScenarioView] = {
    each.name: each
    for each in (
        _scenario(
            "sprint",
            "As fast as it goes",
            "achieved_per_s",
            "the verdict: on few cores a plaintext ceiling is often the generator's, and then it says client bound.",
            Plan(vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "equal-rate",
            "The same rate for everyone",
            "cpu_us",
            "CPU per request: at one rate that all models keep, it is the honest price of each model.",
            Plan(executor="constant-arrival-rate", rate_per_s=10_000, vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "slow-handler",
            "One slow handler among fast ones",
            "plaintext.p99_us",
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
            "rss_bytes_peak",
            "threads and memory: silent connections cost the blocking model a thread each, the others a descriptor.",
            Plan(vus=64, duration_s=10, warmup_s=2, idle_connections=1000),
        ),
        _scenario(
            "cpu-gil",
            "Handlers that hold the GIL",
            "achieved_per_s",
            "the CPU line stop at one core, whatever the model: threads take turns at the one interpreter lock.",
            Plan(vus=16, duration_s=10, warmup_s=2, work=(Work("cpu", 1, {"us": 1000}),), placement="shared"),
        ),
        _scenario(
            "hash-no-gil",
            "The same work, without the GIL",
            "achieved_per_s",
            "models with several handler threads pass one core now; a single reactor cannot.",
            Plan(
                vus=16, duration_s=10, warmup_s=2, work=(Work("hash", 1, {"us": 1000}),), placement="shared"
            ),
        ),
        _scenario(
            "c10k",
            "Ten thousand idle connections" if _ROOM == CROWD else f"{_ROOM:,} idle connections",
            "anon_bytes_per_connection",
            "memory per connection, and the active ones' latency: only where silence costs a thread does it grow."
            + _SMALLER,
            Plan(vus=ACTIVE, duration_s=10, warmup_s=2, idle_connections=_ROOM),
        ),
        _scenario(
            "churn",
            "A new connection for each request",
            "cpu_us",
            "CPU per request: accept, hand-over and close cost more than the request; a thread for each costs most.",
            Plan(executor=OPEN, rate_per_s=2000, vus=64, duration_s=10, warmup_s=2, churn=True),
        ),
        _scenario(
            "slow-readers",
            "Readers that take a megabyte by the spoonful",
            "p99_us",
            "that nobody else waits: a model must keep the rest of an answer, and not a thread, until there is room.",
            Plan(executor=OPEN, rate_per_s=500, vus=32, duration_s=10, warmup_s=2, slow_readers=32),
        ),
        _scenario(
            "pipelining",
            "Sixteen requests at a time",
            "io_calls",
            "I/O calls per request fall far below two: one recv brings many requests, and their order is kept.",
            Plan(vus=16, pipeline=16, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "ramp",
            "A ramp to the knee",
            "p99_us",
            "the second in which response time leaves service time behind: there the queue begins to grow.",
            Plan(
                executor="ramping-arrival-rate",
                rate_per_s=100,
                stages=(Stage(20, 3000),),
                vus=256,
                duration_s=20,
                warmup_s=2,
                work=(Work("hash", 1, {"us": 1000}),),
                placement="shared",
            ),
        ),
        _scenario(
            "stall",
            "Half a second of nothing",
            "p99_us",
            "both clocks: who was due in the stall waits in response time, and is not even seen in service time.",
            Plan(executor=OPEN, rate_per_s=500, vus=32, duration_s=10, warmup_s=2, stall_ms=500),
        ),
        _scenario(
            "capacity",
            "How much it can take",
            "kept_per_s",
            "the trials close in on the highest rate that keeps p99 under 50 ms, from both sides.",
            Plan(
                executor="find-capacity",
                objective="p(99)<50ms",
                vus=128,
                duration_s=3,
                warmup_s=0.5,
                work=(Work("hash", 1, {"us": 1000}),),
            ),
        ),
    )
}
