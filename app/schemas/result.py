"""What a trial measured and how it was judged: summary, cost ledger, verdict, thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.load.protocol.histogram import Percentiles
from app.schemas.states import VerdictName


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
    name: VerdictName
    title: str  # "Server bound"
    rankable: bool  # whether its figure is fit
    because: tuple[str, ...]
    checks: tuple[Check, ...]
    evidence: dict[str, float | int | str | None]
    figure: str = ""  # the one that the run is read for: app/results/figures.py
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
