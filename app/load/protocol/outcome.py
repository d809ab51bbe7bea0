"""The outcome: what one shard measured, as frozen data.

Histograms are HdrHistogram V2 in base64, in µs. An outcome is stored as JSON, so its JSON field names stay as
they are: `JSON_NAMES` lists the two that differ from the attribute.

Two ways of counting:

- `requests`, `errors`, `sent` and `kinds` count the requests that *belong to* the measured window: by their
  scheduled time in the open model, by their send time in the closed one. They include responses that arrive
  during the drain.
- `seconds` count the requests that *finished* in each second, whatever window they belong to. Their sum over
  `measure` is the throughput. It is less than `requests` where a backlog was drained late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.load.protocol.connection_requests import ConnectionRequests

JSON_NAMES = {"background_requests": "aside_requests", "background_closed": "aside_cut_off"}
_ATTRIBUTES = {key: attribute for attribute, key in JSON_NAMES.items()}
_OBSOLETE = frozenset({"notes"})  # stored by an earlier version


@dataclass(frozen=True, slots=True)
class KindOutcome:
    """The results of one kind of request of the work mix.

    - `label`, `kind`: as in results (`sleep ms=50`), and as in the plan (`sleep`).
    - `requests`: correct responses. `errors`: failed requests by name of the error.
    - `service`: service time, from the send to the last byte of the response.
    - `response`: response time, from the scheduled send. The same as `service` in the closed model.
    - `corrected`: response time from the instant at which the generator handled the request: sent it, or
      queued it because no connection was free. `response` minus `corrected` is the generator's own lateness.
      Empty in outcomes stored by an earlier version.
    - `times`: of a traced run, when each request was sent and answered; see `RequestTimes`. They are stored
      with the thread trace, not in the outcome.
    """

    label: str
    kind: str
    requests: int
    errors: Mapping[str, int]
    service: str
    response: str
    corrected: str = ""
    times: str = ""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the load. The last one of a phase may be shorter.

    - `t`: seconds from the start of the warm-up. `length_s`: its length in seconds.
    - `phase`: `warmup`, `measure` or `drain` (responses after the end; present only if there were any).
    - `intended`: requests that the schedule was due to send; None in the closed model.
    - `sent`, `requests`, `errors`: requests sent, answered correctly, and failed in this second.
    - `in_flight`: requests in flight at its end.
    - `service`, `response`: histograms of the requests that finished in this second.
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
    """The result of one shard, or of several shards merged.

    - `started_at`: start of the measured window, ISO 8601 in UTC. `measured_from_ns`, `measured_to_ns`: the
      window by CLOCK_MONOTONIC. `duration_s`: its length. `wall_s`: the length of the window of the CPU times
      and of `in_flight_ns`, which is the same within a millisecond.
    - `stopped`: whether the load was stopped early.
    - `requests`, `sent`: correct responses, and requests sent. `errors`: by name. Errors that belong to no
      request (`connect_*`, `idle_*`, `unasked_bytes`) are counted from the first connection on.
    - `intended`: requests of the schedule; None in the closed model. `dropped`: those that were never sent.
      `late`: those that the generator handled (sent or queued) more than 1 ms after their scheduled time.
      `waited`: those that were queued because no connection was free. A request may be in both.
    - `reconnects`: connections that the server closed and that were opened again.
    - `bytes_in`, `bytes_out`: bytes of responses and of requests.
    - `connections_peak`, `idle_connections_held`: the most connections at once; idle ones that are open at
      the end.
    - `cpu_user_s`, `cpu_system_s`: CPU time of the generator. `run_queue_ns`: how long it was ready to run
      and had no CPU, all shards together; None: unknown.
    - `lateness`: histogram of the time from the scheduled time of a request until the generator handled it.
      `send_jitter_p99_us`: its 99th percentile.
    - `in_flight_ns`: time in flight, summed over all requests, of the part within the window.
    - `background_requests`: responses on background connections (idle and slow), from the first connection to
      the last response. With the requests of all seconds they are all that the server has answered.
      `background_closed`: slow connections that the server closed.
    - `missing`, `idle_missing`: connections that were not open (idle: not served) when the load began.
    - `time_wait`: sockets in TIME_WAIT of the whole network namespace when a load with churn ended; None:
      unknown.
    - `per_connection`: responses of each connection in the measured window. Their sum is that of `seconds`.
      None: unknown, or not comparable (churn, `ramping-vus`).
    - `shards`: how many shards are merged here. `busiest`: the highest utilisation of one CPU, by all shards
      that are pinned to it; of unpinned shards, of one shard.
    - `groups`: the outcomes of the load groups by name. Everything else is that of the main load alone,
      except `busiest`.
    """

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
    background_requests: int = 0
    background_closed: int = 0
    missing: int = 0
    idle_missing: int = 0
    time_wait: int | None = None
    shards: int = 1
    busiest: float | None = None
    run_queue_ns: int | None = None
    per_connection: ConnectionRequests | None = None
    groups: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that were sent and got no correct response. Errors of connections are not included."""
        return sum(count for kind in self.kinds for count in kind.errors.values())

    @property
    def unfinished(self) -> int:
        """Requests in flight when the load was stopped.

        sent = requests + failed + unfinished, and intended = sent + dropped.
        """
        return max(0, self.sent - self.requests - self.failed)

    @property
    def loads(self) -> tuple[Outcome, ...]:
        """The outcome of the main load, and those of the groups."""
        return (self, *self.groups.values())

    def without_times(self) -> Outcome:
        """Return the outcome as it is stored: without the times of single requests."""
        kinds = tuple(replace(kind, times="") for kind in self.kinds)
        groups = {name: each.without_times() for name, each in self.groups.items()}
        return replace(self, kinds=kinds, groups=groups)

    @property
    def has_measured(self) -> bool:
        """Whether anything was measured: False if the load was stopped before."""
        return bool(self.measured_from_ns) and not (self.stopped and not self.requests and not self.failed)

    @property
    def utilisation(self) -> float:
        """The share of one CPU that the generator used in the measured window, 0 to 1.

        The generator never spins, so this is work. Of several shards it is that of the busiest one, or of the
        busiest CPU if it has several, which is the first to limit the load.
        """
        if self.busiest is not None:
            return self.busiest
        return (self.cpu_user_s + self.cpu_system_s) / self.wall_s if self.wall_s else 0.0

    @property
    def waited_for_cpu(self) -> float | None:
        """The share of the measured window, 0 to 1, in which a shard was ready to run and had no CPU.

        The mean over the shards; None where the kernel does not report it.
        """
        if self.run_queue_ns is None or not self.wall_s:
            return None
        return self.run_queue_ns / 1e9 / self.wall_s / self.shards

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, with the field names under which outcomes are stored."""
        values = {**asdict(self), "groups": {name: each.to_json() for name, each in self.groups.items()}}
        return {JSON_NAMES.get(name, name): value for name, value in values.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the outcome of what `to_json` made, in this version or an older one.

        Raises KeyError or TypeError for data that is no outcome.
        """
        values = {_ATTRIBUTES.get(name, name): value for name, value in data.items() if name not in _OBSOLETE}
        values["kinds"] = tuple(KindOutcome(**each) for each in data["kinds"])
        values["seconds"] = tuple(Second(**each) for each in data["seconds"])
        if found := data.get("per_connection"):
            values["per_connection"] = ConnectionRequests(**found)
        values["groups"] = {name: cls.from_json(each) for name, each in data.get("groups", {}).items()}
        return cls(**values)
