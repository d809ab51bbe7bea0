"""What the lab shows of itself: frozen values that routes, pages and the shell print. No behaviour.

Field names are those of docs/api (units in the name); None is "not known", never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.load.protocol.histogram import Percentiles


@dataclass(frozen=True, slots=True)
class KnobView:
    name: str
    default: int | str
    minimum: int | None
    maximum: int | None
    unit: str
    choices: tuple[str, ...]
    help: str
    common: bool  # every model has it: folded away on the card


@dataclass(frozen=True, slots=True)
class RoleView:
    name: str
    title: str
    does: str
    restaurant: str


@dataclass(frozen=True, slots=True)
class TermView:
    """A name that the literature has for a model, or for a part of it."""

    name: str
    says: str
    source: str


@dataclass(frozen=True, slots=True)
class ModelView:
    name: str
    title: str
    order: int
    aliases: tuple[str, ...]
    summary: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]
    used_by: tuple[str, ...]
    literature: tuple[TermView, ...]
    roles: tuple[RoleView, ...]
    knobs: tuple[KnobView, ...]
    available: bool
    unavailable_reason: str | None
    doc: str  # the lesson's docstring
    file: str  # engines/reactor.py
    source: str


@dataclass(frozen=True, slots=True)
class ExitView:
    code: int | None  # None when a signal ended it
    signal: str | None  # "SIGKILL"
    reason: str  # one sentence
    stderr: tuple[str, ...]  # the last lines


@dataclass(frozen=True, slots=True)
class EngineView:
    id: str
    model: str
    state: str  # starting ready degraded draining stopped exited failed
    host: str
    port: int | None
    url: str | None
    pid: int | None
    knobs: dict[str, int | str]
    cpus: tuple[int, ...] | None
    python: str | None
    gil: bool | None
    started_at: str
    uptime_s: float | None
    exit: ExitView | None
    detail: str | None = None  # why it is degraded, or what is being waited for


@dataclass(frozen=True, slots=True)
class ThreadView:
    slot: int
    generation: int
    pid: int
    tid: int
    role: str
    index: int
    state: str
    connections: int
    cpu_percent: float | None
    run_queue_wait_us: float | None
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class SampleView:
    """The newest sample of an engine. Rates are of the last second, CPU of the last interval; None of one sample."""

    engine: str
    t_s: float
    requests: int
    requests_per_s: float | None
    errors: int
    connections: dict[str, int]
    connections_total: int
    threads: tuple[ThreadView, ...]
    thread_count: int
    cpu_percent: float | None
    rss_bytes: int | None
    io_calls: int
    queue_depth: int
    queue_high_water: int
    accept_pauses: int
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class ScenarioView:
    name: str
    title: str
    watch: str
    plan: dict[str, Any]
    figure: str  # the one that matters: app/lab/figures.py
    knobs: dict[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Latency:
    """Both clocks: from the actual send (service), and from the intended one (response).

    `corrected` is response time as if the load generator had never been late: from when it handled the request. None in
    runs of before 0.2.
    """

    service: Percentiles
    response: Percentiles
    corrected: Percentiles | None = None


@dataclass(frozen=True, slots=True)
class KindSummary:
    label: str
    requests: int
    errors: int
    service: Percentiles
    response: Percentiles
    corrected: Percentiles | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    requests: int
    errors: dict[str, int]
    duration_s: float
    offered_per_s: float | None
    achieved_per_s: float
    rate_ratio: float | None
    bytes_in: int
    bytes_out: int
    dropped: int
    late: int
    connections_peak: int
    idle_connections_held: int
    latency: Latency
    by_kind: tuple[KindSummary, ...]
    reconnects: int | None = (
        None  # connections that the server closed while nothing was in flight, or with an answer
    )
    send_jitter_p99_us: float | None = (
        None  # the generator's own: how long after its intended instant it sent
    )
    # Intended = sent + dropped; sent = requests (answered) + failed + unfinished (in flight when it was stopped).
    # `errors` has the failed ones by kind, and those of connections, which are no request's. None: of before 0.2.
    intended: int | None = None
    sent: int | None = None
    failed: int | None = None
    unfinished: int | None = None

    @property
    def counts(self) -> str:
        """What became of its requests, in words whose numbers add up."""
        if self.sent is None or self.failed is None:
            return f"{self.requests:,} answered, {sum(self.errors.values()):,} failed"
        parts = [f"{self.requests:,} answered", f"{self.failed:,} failed"]
        parts += [f"{self.unfinished:,} in flight at the stop"] if self.unfinished else []
        if self.intended is None:
            return f"{self.sent:,} sent: {', '.join(parts)}"
        parts += [f"{self.dropped:,} never sent"] if self.dropped else []
        return f"{self.intended:,} intended: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class GeneratorCost:
    """What the load generator itself used: CPU µs a request, and its share of one CPU."""

    cpu_us: float | None
    utilisation: float | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a request cost the engine in the measured window; None where it could not be known."""

    cpu_us: float | None
    cpu_user_us: float | None
    cpu_system_us: float | None
    io_calls: float | None
    syscalls: float | None
    voluntary_switches: float | None
    involuntary_switches: float | None
    run_queue_us: float | None
    wakeups: float | None
    queue_wait_us: float | None
    threads_peak: int | None
    rss_bytes_peak: int | None
    anon_bytes_per_connection: float | None
    kernel_stack_bytes: int | None
    generator: GeneratorCost


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a verdict's evidence: what was looked at, what was seen, what it had to be."""

    what: str
    seen: str
    limit: str
    ok: bool | None  # None: could not be checked


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str  # server_bound client_bound unsaturated rate_missed errors_dominate kernel_drops noisy degraded
    title: str  # "Server bound"
    rankable: bool  # whether its figure is fit
    because: tuple[str, ...]
    checks: tuple[Check, ...]
    evidence: dict[str, float | int | str | None]
    figure: str = ""  # the one that the run is read for: app/lab/figures.py
    fitness: dict[str, str | None] = field(
        default_factory=dict
    )  # of each figure: None, or why it is not to be relied on

    @property
    def why_not(self) -> str | None:
        """Why it is not ranked, in one sentence; None: it can be."""
        if self.rankable:
            return None
        return (
            self.fitness.get(self.figure)
            or f"{self.title}. {self.because[0] if self.because else ''}".strip()
        )


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    text: str
    seen: str
    breached: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One trial of a search for capacity: an offered rate, what came of it, and whether it kept the objective."""

    rate_per_s: float
    trial: int  # of this rate, from 1
    seen: str  # of the objective: "18.2 ms"
    rate_ratio: float | None
    kept: bool
    because: str  # one sentence


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search for capacity has found so far: it lies from `kept_per_s` up to `failed_per_s`."""

    objective: str
    kept_per_s: float | None  # None: not even the lowest rate that was tried
    failed_per_s: float | None  # None: the search ended before anything failed
    limited_by: str | None  # one sentence, where the search could not go on to the server's own limit
    steps: tuple[Step, ...]


WARM_UP_ENDS = "warm-up ends"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one instant of a run."""

    t_s: float  # from the start of the warm-up
    text: str


@dataclass(frozen=True, slots=True)
class Follower:
    """An engine that is to take over in a relay: a fresh one of a model."""

    model: str
    knobs: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Leg:
    """What one engine of a relay served alone, in whole seconds of the run; None: it never served one alone."""

    engine: str
    model: str
    model_title: str
    from_s: float | None  # from the start of the warm-up
    to_s: float | None
    requests: int
    errors: int
    achieved_per_s: float | None
    service: Percentiles
    response: Percentiles
    cpu_us: float | None


@dataclass(frozen=True, slots=True)
class RunView:
    id: int
    state: str  # queued warming running finished stopped failed
    progress: float  # 0..1
    label: str | None
    scenario: str | None
    title: str  # the scenario's title, or the plan in words
    model: str
    model_title: str
    engine: str | None
    knobs: dict[str, int | str]
    plan: dict[str, Any]
    plan_text: str  # "closed, 64 connections, 10 s after 2 s of warm-up"
    placement: dict[str, Any]  # {"mode", "engine_cpus", "load_cpus", "load_priority"}
    environment: dict[str, Any]
    summary: Summary | None
    ledger: Ledger | None
    verdict: Verdict | None
    thresholds: tuple[ThresholdResult, ...]
    failure: str | None  # one sentence, when state is failed, or stopped before anything was measured
    created_at: str
    finished_at: str | None
    capacity: Capacity | None = None  # of find-capacity
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()  # sentences: what the load generator remarked, what a stall hid
    comparison: int | None = None  # the comparison that it is a trial of
    legs: tuple[Leg, ...] = ()  # of a relay: its first engine and those that took over
    then: tuple[Follower, ...] = ()  # of a relay: who was to take over, whether they could or not
    beside: tuple[int, ...] = ()  # the runs that went at the same time, each against an engine of its own


@dataclass(frozen=True, slots=True)
class SystemView:
    cores: int
    cpu_model: str
    kernel: str
    python: str
    gil: bool
    io_uring: bool
    io_uring_reason: str | None
    descriptor_limit: int
    somaxconn: int | None
    port_range: tuple[int, ...] | None
    memory_bytes: int | None
    engine_cpus: tuple[int, ...]  # where `split` puts engines
    load_cpus: tuple[int, ...]  # where `split` puts the generator
    load_priority: str  # real-time or normal: of a generator that sends at given instants, with `split`
    warnings: tuple[str, ...]
    version: str
