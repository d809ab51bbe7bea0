"""The scenarios: named plans, each with a sentence on what to watch."""

from __future__ import annotations

import resource

from app.load.protocol.plan import Plan, Stage, Work
from app.schemas.scenario import ScenarioView

C10K = 10_000
ACTIVE = 64
RESERVED = 512  # file descriptors of an engine or of the load generator that are not connections
_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
_C10K_HERE = C10K if _LIMIT == resource.RLIM_INFINITY else max(0, min(C10K, _LIMIT - ACTIVE - RESERVED))
_C10K_TITLE, _C10K_REDUCED = f"C10k: {C10K:,} idle connections", ""
if _C10K_HERE < C10K:
    _C10K_TITLE = f"{_C10K_HERE:,} idle connections"
    _C10K_REDUCED = f" Reduced from {C10K:,}: a process may open {_LIMIT:,} file descriptors here."
OPEN = "constant-arrival-rate"


def _scenario(name: str, title: str, figure: str, watch: str, plan: Plan) -> ScenarioView:
    return ScenarioView(name, title, watch, plan.to_json(), figure)


SCENARIOS: dict[str, ScenarioView] = {
    each.name: each
    for each in (
        _scenario(
            "sprint",
            "Max throughput (closed loop)",
            "achieved_per_s",
            "the verdict: on few cores the load generator is often the limit for plaintext requests, "
            "and the verdict then names it.",
            Plan(vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "equal-rate",
            "Fixed rate: 10,000 req/s",
            "cpu_us",
            "CPU per request: at a rate that every model sustains, it is the cost of the model.",
            Plan(executor="constant-arrival-rate", rate_per_s=10_000, vus=64, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "slow-handler",
            "Head-of-line blocking (1 % slow handlers)",
            "plaintext.p99_us",
            "the p99 of plaintext: 1 % of the requests sleep 50 ms, and on a single thread the others wait.",
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
            "1,000 idle keep-alive connections",
            "rss_bytes_peak",
            "threads and memory: an idle connection costs a thread in the blocking model, and only a file "
            "descriptor in the others.",
            Plan(vus=64, duration_s=10, warmup_s=2, idle_connections=1000),
        ),
        _scenario(
            "cpu-gil",
            "CPU-bound handlers (GIL held)",
            "achieved_per_s",
            "CPU utilisation: it stays at one core in every threaded model: one thread holds the GIL.",
            Plan(vus=16, duration_s=10, warmup_s=2, work=(Work("cpu", 1, {"us": 1000}),), placement="shared"),
        ),
        _scenario(
            "hash-no-gil",
            "CPU-bound handlers (GIL released)",
            "achieved_per_s",
            "CPU utilisation: it exceeds one core in models with several handler threads, but not in a "
            "single reactor.",
            Plan(
                vus=16, duration_s=10, warmup_s=2, work=(Work("hash", 1, {"us": 1000}),), placement="shared"
            ),
        ),
        _scenario(
            "c10k",
            _C10K_TITLE,
            "anon_bytes_per_connection",
            "memory per connection and the latency of active ones: both grow only if each idle connection "
            f"costs a thread.{_C10K_REDUCED}",
            Plan(vus=ACTIVE, duration_s=10, warmup_s=2, idle_connections=_C10K_HERE),
        ),
        _scenario(
            "churn",
            "Connection churn (no keep-alive)",
            "cpu_us",
            "CPU per request: accept, hand-off and close cost more than the request itself, and a new thread "
            "per connection costs most.",
            Plan(executor=OPEN, rate_per_s=2000, vus=64, duration_s=10, warmup_s=2, churn=True),
        ),
        _scenario(
            "slow-readers",
            "Slow readers (backpressure)",
            "p99_us",
            "the p99 of the other clients: it stays low if unsent bytes are buffered instead of blocking a "
            "shared thread.",
            Plan(executor=OPEN, rate_per_s=500, vus=32, duration_s=10, warmup_s=2, slow_readers=32),
        ),
        _scenario(
            "pipelining",
            "HTTP pipelining (depth 16)",
            "io_calls",
            "I/O calls per request, which fall far below two: one recv returns many requests.",
            Plan(vus=16, pipeline=16, duration_s=10, warmup_s=2),
        ),
        _scenario(
            "ramp",
            "Ramp to saturation",
            "p99_us",
            "the second in which response time exceeds service time: from there on the queue grows.",
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
            "500 ms server stall (coordinated omission)",
            "p99_us",
            "response time against service time: requests due during the stall wait in response time and are "
            "missing from service time.",
            Plan(executor=OPEN, rate_per_s=500, vus=32, duration_s=10, warmup_s=2, stall_ms=500),
        ),
        _scenario(
            "capacity",
            "Find capacity (p99 < 50 ms)",
            "kept_per_s",
            "the trials, which bracket the highest rate with a p99 below 50 ms.",
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
