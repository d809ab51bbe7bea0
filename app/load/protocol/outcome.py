"""The outcome: what one shard measured, exactly. Frozen data; JSON in and out are the field names as they stand.

Histograms are HdrHistogram V2 in base64, in µs. `requests`, `errors`, `sent` and the kinds count what was *meant*
for the measured window (by its intended time in the open model, by its send time in the closed one) and so include
answers that came while draining. `seconds` count what *finished* in each second, whatever it was meant for:
their sum over `measure` is the true throughput, and it is less than `requests` where a backlog drained late.
Errors that belong to no request (`connect_*`, `idle_*`, `unasked_bytes`) count from connecting on. `duration_s` is the
window of the load; `wall_s` is that of the generator's CPU time and of `in_flight_ns` (the same within a millisecond).
`aside_requests` were answered to those that stand beside the load, from the first connection to the last answer:
with all seconds they make what the server has answered. `missing` and `idle_missing` are connections that were not
there (idle: not served) when the load began; `aside_cut_off`: slow ones that the server closed. `lateness` is the
histogram of how long after its intended time each request was handled (see `corrected`). `time_wait` counts such
sockets of the whole network namespace when a churning load ended. `corrected` of a kind is response time from the
instant at which the generator handled the request (sent it, or queued it because no connection was free): what
`response` says beyond it is the generator's own lateness. It is empty in outcomes of before 0.2. `run_queue_ns` is how
long the generator was ready to run and had no CPU in the measured window, all shards together; None: not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KindOutcome:
    """One kind of the work mix."""

    label: str
    kind: str
    requests: int
    errors: Mapping[str, int]
    service: str
    response: str
    corrected: str = ""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the load; `t` is seconds from the start of the warm-up, the last of a phase may be shorter.

    `phase` is `warmup`, `measure` or `drain` (answers after the end; only there if there were any).
    """

    t: float
    length_s: float
    phase: str
    intended: int | None
    sent: int
    requests: int
    errors: int
    in_flight: int
    service: str
    response: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one shard has to say at its end."""

    started_at: str
    measured_from_ns: int
    measured_to_ns: int
    duration_s: float
    stopped: bool
    requests: int
    errors: Mapping[str, int]
    intended: int | None
    sent: int
    dropped: int
    late: int
    waited: int
    reconnects: int
    bytes_in: int
    bytes_out: int
    connections_peak: int
    idle_connections_held: int
    cpu_user_s: float
    cpu_system_s: float
    wall_s: float
    send_jitter_p99_us: float | None
    in_flight_ns: int
    kinds: tuple[KindOutcome, ...] = ()
    seconds: tuple[Second, ...] = ()
    lateness: str = ""
    aside_requests: int = 0
    aside_cut_off: int = 0
    missing: int = 0
    idle_missing: int = 0
    time_wait: int | None = None
    shards: int = 1
    busiest: float | None = None
    run_queue_ns: int | None = None

    @property
    def failed(self) -> int:
        """Requests that were sent and got no right answer. Errors of connections are none of them."""
        return sum(count for kind in self.kinds for count in kind.errors.values())

    @property
    def unfinished(self) -> int:
        """Requests in flight when the load was stopped. Sent = answered + failed + these; intended = sent + dropped."""
        return max(0, self.sent - self.requests - self.failed)

    @property
    def has_measured(self) -> bool:
        """Whether it was stopped before anything could be measured."""
        return bool(self.measured_from_ns) and not (self.stopped and not self.requests and not self.failed)

    @property
    def utilisation(self) -> float:
        """The share of one CPU that the generator used in the measured window; it never spins, so this is work.

        Of several shards the busiest one's: it is the one that limits.
        """
        if self.busiest is not None:
            return self.busiest
        return (self.cpu_user_s + self.cpu_system_s) / self.wall_s if self.wall_s else 0.0

    @property
    def waited_for_cpu(self) -> float | None:
        """The share of the measured window in which a shard was ready to run and had no CPU, the mean of the shards."""
        if self.run_queue_ns is None or not self.wall_s:
            return None
        return self.run_queue_ns / 1e9 / self.wall_s / self.shards

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        nested = {
            "kinds": tuple(KindOutcome(**each) for each in data["kinds"]),
            "seconds": tuple(Second(**each) for each in data["seconds"]),
        }
        kept = {name: value for name, value in data.items() if name != "notes"}  # 0.1.0 kept sentences there
        return cls(**{**kept, **nested})
