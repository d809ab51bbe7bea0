"""`/metrics` for Prometheus: base units, `_total`, and labels with few values (model, role, kind).

No label names a single engine or thread; hosts of a cluster have names. Engines are read from the newest
samples at each scrape; the latency of a finished run is added from its histogram. docs/metrics.md lists every
name, and a test compares the two.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.events import Event
from app.fleet.engine import Engine
from app.fleet.sampler import Sample, Sampler
from app.lab import Lab
from app.load.protocol import histogram
from app.schemas.states import Answer, EngineState, VerdictName

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Upper bounds of histogram buckets in seconds.
LATENCY_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHORT_S = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
# Values of labels
CONNECTION_STATES = ("idle", "reading", "queued", "handling", "writing")
STATUS_CLASSES = ("2xx", "4xx", "5xx")
IO_CALLS = ("accept", "recv", "send", "wait", "other")
NO_VERDICT = NO_ANSWER = "none"
CLOCKS = ("service", "response")
RUN_ENDED = ("run.finished", "run.stopped", "run.failed")
EXPERIMENT_ENDED = ("experiment.answered", "experiment.stopped", "experiment.failed")


class Metrics:
    """The Prometheus registry of one lab, with the metrics that the control plane itself observes.

    Event loop only.
    """

    def __init__(self, lab: Lab) -> None:
        self.registry = CollectorRegistry()
        self.viewers = Gauge("threadlab_viewers", "Open live WebSockets.", registry=self.registry)
        self.frame_build = Histogram(
            "threadlab_frame_build_seconds",
            "Time to build one live frame.",
            buckets=SHORT_S,
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "threadlab_loop_lag_seconds",
            "How late the event loop woke up.",
            buckets=SHORT_S,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_EngineCollector(lab))
        self.registry.register(_RunCollector(lab))
        self.registry.register(_HostCollector(lab))
        self.experiments = PrometheusCounter(
            "threadlab_experiments",
            "Experiments that have ended, by answer.",
            labelnames=("answer",),
            registry=self.registry,
        )
        for answer in (*Answer, NO_ANSWER):  # Prometheus computes no rate from a series that begins at 1
            self.experiments.labels(answer)
        self._lab = lab
        lab.events.subscribe(self._count_experiment)

    def _count_experiment(self, event: Event) -> None:
        if event.name in EXPERIMENT_ENDED and event.experiment is not None:
            answer = self._lab.experiments.get(event.experiment).answer
            self.experiments.labels(answer or NO_ANSWER).inc()

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class _HostCollector(Collector):
    """The hosts of the cluster; nothing without one. A host that is lost keeps its series, with state 0."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def describe(self) -> list[Metric]:
        return []  # so that registration does not collect

    def collect(self) -> Iterator[Metric]:
        usable = GaugeMetricFamily(
            "threadlab_host_usable", "Whether work can be given to a host.", labels=("host",)
        )
        offset = GaugeMetricFamily(
            "threadlab_host_clock_offset_seconds",
            "CLOCK_MONOTONIC of a host minus that of the lab.",
            labels=("host",),
        )
        error = GaugeMetricFamily(
            "threadlab_host_clock_error_seconds", "The most by which that offset is wrong.", labels=("host",)
        )
        rtt = GaugeMetricFamily(
            "threadlab_host_round_trip_seconds",
            "Round trip of a message through the scheduler to a host.",
            labels=("host",),
        )
        for host in self._lab.hosts.discover():
            if host.address is None:
                continue
            usable.add_metric((host.name,), float(host.is_usable))
            measured = ((offset, host.clock_offset_us), (error, host.clock_error_us), (rtt, host.rtt_us))
            for family, us in measured:
                if us is not None:
                    family.add_metric((host.name,), us / 1e6)
        yield from (usable, offset, error, rtt)


class _EngineCollector(Collector):
    """Engines by model. Counters include removed engines, so that they never decrease."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._removed: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by model
        lab.fleet.on_removed = self._on_removed

    def _on_removed(self, engine: Engine, sampler: Sampler) -> None:
        self._removed[engine.name].update(_engine_counters(sampler))

    def describe(self) -> list[Metric]:
        return []  # so that registration does not collect

    def collect(self) -> Iterator[Metric]:
        yield from _counter_families(self._totals())
        yield from self._gauge_families()

    def _totals(self) -> dict[str, Counter[str]]:
        fleet = self._lab.fleet
        totals = defaultdict(Counter, {model: counters.copy() for model, counters in self._removed.items()})
        for id, engine in fleet.engines.items():
            sampler = fleet.samplers[id]
            if not engine.alive and not sampler.is_final:
                sampler.sample(time.monotonic_ns())  # include what it did since the last sample
            totals[engine.name].update(_engine_counters(sampler))
        return totals

    def _gauge_families(self) -> Iterator[Metric]:
        families = _EngineGauges()
        fleet = self._lab.fleet
        for name in self._lab.launchables.names:
            engines = [engine for engine in fleet.engines.values() if engine.name == name]
            samples = [
                sample for engine in engines if engine.alive and (sample := fleet.samplers[engine.id].last)
            ]
            model = self._lab.models.views.get(name)
            families.add(name, [role.name for role in model.roles] if model else [], engines, samples)
        yield from families.all()


class _EngineGauges:
    """The gauges of engines for one scrape."""

    def __init__(self) -> None:
        self._engines = GaugeMetricFamily("threadlab_engines", "Engines by state.", labels=("model", "state"))
        self._memory = GaugeMetricFamily(
            "threadlab_engine_resident_memory_bytes", "Resident memory.", labels=("model",)
        )
        self._threads = GaugeMetricFamily(
            "threadlab_engine_threads", "Threads by role.", labels=("model", "role")
        )
        self._connections = GaugeMetricFamily(
            "threadlab_engine_connections", "Connections by state.", labels=("model", "state")
        )
        self._queue_depth = GaugeMetricFamily(
            "threadlab_engine_queue_depth", "Requests waiting for a worker.", labels=("model",)
        )
        self._accept_queue = GaugeMetricFamily(
            "threadlab_engine_accept_queue_depth",
            "Connections waiting to be accepted.",
            labels=("model",),
        )

    def add(self, name: str, known: list[str], engines: list[Engine], samples: list[Sample]) -> None:
        """Add the engines of a model or server and the newest samples of its live engines.

        `known`: the roles that a model always has. What nothing counts in an external server has no series.
        """
        for state in EngineState:
            self._engines.add_metric((name, state), sum(engine.state == state for engine in engines))
        self._memory.add_metric((name,), sum(s.process.rss_bytes for s in samples if s.process))
        depths = [sample.board.queue_depth for sample in samples]
        if None not in depths:
            self._queue_depth.add_metric((name,), sum(depth or 0 for depth in depths))
        queues = [engine.read_accept_queue() for engine in engines if engine.alive]
        if None not in queues:
            self._accept_queue.add_metric((name,), sum(queue.depth for queue in queues if queue))
        connections: Counter[str] = Counter()
        roles: Counter[str] = Counter(dict.fromkeys(known, 0))
        for sample in samples:
            connections.update(sample.board.connections)
            roles.update(thread.role for thread in sample.board.threads)
        for role, count in roles.items():
            self._threads.add_metric((name, role), count)
        for kind in CONNECTION_STATES if all(sample.board.connections for sample in samples) else ():
            self._connections.add_metric((name, kind), connections[kind])

    def all(self) -> tuple[Metric, ...]:
        """Return all families."""
        return (
            self._engines,
            self._memory,
            self._threads,
            self._connections,
            self._queue_depth,
            self._accept_queue,
        )


def _engine_counters(sampler: Sampler) -> Counter[str]:
    """Return what an engine has counted since its start."""
    counters = sampler.last.board.counters if sampler.last else {}
    return Counter({**counters, "cpu_ns": sampler.cpu_ns})


def _counter_families(totals: dict[str, Counter[str]]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "threadlab_engine_requests", "Requests answered.", labels=("model", "class")
    )
    moved = CounterMetricFamily(
        "threadlab_engine_bytes", "Bytes received and sent.", labels=("model", "direction")
    )
    calls = CounterMetricFamily(
        "threadlab_engine_io_calls", "I/O system calls, by kind.", labels=("model", "call")
    )
    cpu = CounterMetricFamily("threadlab_engine_cpu_seconds", "CPU time.", labels=("model",))
    waited = CounterMetricFamily(
        "threadlab_engine_queue_wait_seconds", "Time in the queue.", labels=("model",)
    )
    for model, counters in sorted(totals.items()):
        for status_class in STATUS_CLASSES:
            requests.add_metric((model, status_class), counters[f"requests_{status_class}"])
        for direction in ("in", "out"):
            moved.add_metric((model, direction), counters[f"bytes_{direction}"])
        for call in IO_CALLS:
            calls.add_metric((model, call), counters[f"{call}_calls"])
        cpu.add_metric((model,), counters["cpu_ns"] / 1e9)
        waited.add_metric((model,), counters["queue_wait_us"] / 1e6)
    yield from (requests, moved, calls, cpu, waited)


@dataclass
class _LatencyHistogram:
    """Counts by bucket of LATENCY_S, the last one without an upper bound, and the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_S) + 1))
    sum_s: float = 0.0

    def add(self, encoded: str) -> None:
        """Add an encoded HdrHistogram."""
        for us, count in histogram.buckets(histogram.decode(encoded)):
            self.counts[bisect_left(LATENCY_S, us / 1e6)] += count
            self.sum_s += us * count / 1e6

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, cumulative count) of each bucket."""
        buckets, cumulative = [], 0
        for bound, count in zip((*map(str, LATENCY_S), "+Inf"), self.counts, strict=True):
            cumulative += count
            buckets.append((bound, float(cumulative)))
        return buckets


class _RunCollector(Collector):
    """Results of finished runs by model."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._verdicts: Counter[tuple[str, str]] = Counter()  # by model and verdict
        self._latency: dict[str, defaultdict[str, _LatencyHistogram]] = {
            clock: defaultdict(_LatencyHistogram) for clock in CLOCKS
        }  # by clock and model
        self._cpu_s: dict[str, float] = {}  # per request, by model
        lab.events.subscribe(self._on_event)

    def describe(self) -> list[Metric]:
        return []  # so that registration does not collect

    def _on_event(self, event: Event) -> None:
        if event.name not in RUN_ENDED or event.run is None or event.model is None:
            return
        view = self._lab.runs.get(event.run)
        self._verdicts[event.model, view.verdict.name if view.verdict else NO_VERDICT] += 1
        if view.ledger and view.ledger.cpu_us is not None:
            self._cpu_s[event.model] = view.ledger.cpu_us / 1e6
        outcome: dict[str, Any] = self._lab.store.outcome(event.run) or {}
        for kind in outcome.get("kinds", ()):
            for clock, by_model in self._latency.items():
                by_model[event.model].add(kind[clock])

    def collect(self) -> Iterator[Metric]:
        # All models from the start: Prometheus computes no rate from a series that begins at 1.
        models = sorted(self._lab.launchables.names)
        runs = CounterMetricFamily(
            "threadlab_runs", "Runs that have ended, by verdict.", labels=("model", "verdict")
        )
        for labels in ((model, verdict) for model in models for verdict in (*VerdictName, NO_VERDICT)):
            runs.add_metric(labels, self._verdicts[labels])
        yield runs
        for clock, by_model in self._latency.items():
            family = HistogramMetricFamily(
                f"threadlab_run_{clock}_seconds",
                f"Latency of finished runs, {clock} time.",
                labels=("model",),
            )
            for model in models:
                family.add_metric((model,), by_model[model].buckets(), by_model[model].sum_s)
            yield family
        cpu = GaugeMetricFamily(
            "threadlab_run_cpu_seconds_per_request",
            "Engine CPU per request of the last run.",
            labels=("model",),
        )
        for model, seconds in sorted(self._cpu_s.items()):
            cpu.add_metric((model,), seconds)
        yield cpu
