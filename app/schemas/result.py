"""The result of a trial: summary, cost ledger, verdict and thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.load.protocol.histogram import Percentiles
from app.schemas.states import VerdictName


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of service time (from the actual send) and response time (from the scheduled send).

    `corrected` is response time without the lateness of the load generator: it counts from the instant at
    which the generator handled the request. None in runs stored by an earlier version.
    """

    service: Percentiles
    response: Percentiles
    corrected: Percentiles | None = None


@dataclass(frozen=True, slots=True)
class KindSummary:
    """Requests, errors and latency of one kind of the request mix."""

    label: str
    requests: int
    errors: int
    service: Percentiles
    response: Percentiles
    corrected: Percentiles | None = None


@dataclass(frozen=True, slots=True)
class Fairness:
    """How evenly the responses of the measured time are distributed over the connections of a load.

    A connection without a response counts as 0. `jain`: Jain's index, from 1/n (one of n connections has all)
    to 1 (all have equally many); None without any response.
    """

    connections: int
    requests_min: int
    requests_max: int
    requests_mean: float
    jain: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the load generator counted in the measured time: of the main load, or of a load group.

    intended = sent + dropped, and sent = requests + failed + unfinished. `errors` counts failed requests by
    kind, and failed connections, which are not requests. The fields from `intended` to `unfinished` are None
    in runs stored by an earlier version.
    """

    requests: int  # with a correct response
    errors: dict[str, int]
    duration_s: float
    offered_per_s: float | None  # None: closed loop
    achieved_per_s: float
    rate_ratio: float | None  # achieved / offered
    bytes_in: int
    bytes_out: int
    dropped: int  # requests of the schedule that were never sent
    late: int  # requests sent behind schedule
    connections_peak: int
    idle_connections_held: int
    latency: Latency
    by_kind: tuple[KindSummary, ...]
    reconnects: int | None = None  # connections that the server closed between requests, or with a response
    send_jitter_p99_us: float | None = None  # delay of the load generator between scheduled and actual send
    intended: int | None = None
    sent: int | None = None
    failed: int | None = None
    unfinished: int | None = None  # in flight when the load was stopped
    fairness: Fairness | None = None  # None: unknown, churn, or a ramp of connections
    groups: dict[str, Summary] = field(default_factory=dict)  # of the load groups, by name

    @property
    def counts(self) -> str:
        """The outcome of all requests in one line; the numbers add up."""
        if self.sent is None or self.failed is None:
            return f"{self.requests:,} answered, {sum(self.errors.values()):,} failed"
        parts = [f"{self.requests:,} answered", f"{self.failed:,} failed"]
        parts += [f"{self.unfinished:,} in flight at the stop"] if self.unfinished else []
        if self.intended is None:
            return f"{self.sent:,} sent: {', '.join(parts)}"
        parts += [f"{self.dropped:,} never sent"] if self.dropped else []
        return f"{self.intended:,} scheduled: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class ProcessShare:
    """A process of an external server: CPU in percent of one core in the measured time.

    `connections`: open ones at its end; None: not known. `has_gil`: its threads take turns (Python).
    """

    pid: int
    role: str  # process, or master and worker
    cpu_percent: float
    connections: int | None
    has_gil: bool


@dataclass(frozen=True, slots=True)
class GeneratorCost:
    """CPU time of the load generator: µs per request, and utilisation of its CPUs from 0 to 1."""

    cpu_us: float | None
    utilisation: float | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the engine used in the measured time. None: not known.

    Times, calls, switches and wake-ups are per request (`queue_wait_us`: per request taken from the queue;
    `accept_wait_us`: per accepted connection). Threads and memory are peaks. Depths of the accept queue are
    connections. The fields after `generator` are None in runs stored by an earlier version.
    """

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
    handoffs: float | None = None  # requests handed from one thread to another, per request
    stalled_us: float | None = None  # waiting for the GIL or a lock, of all threads; a lower bound
    accept_queue_mean: float | None = None
    accept_queue_peak: int | None = None
    accept_wait_us: float | None = None  # from the completed handshake to accept()


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a verdict: what was checked, the measured value, and its limit."""

    what: str
    seen: str
    limit: str
    ok: bool | None  # None: not known


@dataclass(frozen=True, slots=True)
class Verdict:
    """What limited a run, with the evidence, and which of its figures are valid."""

    name: VerdictName
    title: str  # "Limited by the server"
    rankable: bool  # whether the main figure is valid
    because: tuple[str, ...]  # the reasons in sentences
    checks: tuple[Check, ...]
    evidence: dict[str, float | int | str | None]
    figure: str = ""  # name of the main figure: app/results/figures.py
    fitness: dict[str, str | None] = field(default_factory=dict)  # by figure: None, or why it is not valid

    @property
    def why_not(self) -> str | None:
        """Why the run is excluded from ranking, in one sentence; None: it can be ranked."""
        if self.rankable:
            return None
        because = self.because[0] if self.because else ""
        return self.fitness.get(self.figure) or f"{self.title}. {because}".strip()


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """A threshold with the measured value, and whether it was breached."""

    text: str
    seen: str
    breached: bool
