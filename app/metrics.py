"""`/metrics` for Prometheus: base units, `_total`, low cardinality (model, role, kind; never a thread or an engine id).

Nothing is counted for Prometheus alone: engines are read from the newest samples when a scrape comes, and the
latency of a finished run is added from its own histogram. docs/metrics.md lists every name; a test compares.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.events import Event
from app.fleet.engine import Engine
from app.fleet.sampler import Sampler
from app.lab import Lab
from app.load.protocol import histogram
from app.schemas.states import EngineState, VerdictName

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_S = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
SHORT_S = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
CLASSES = ("2xx", "4xx", "5xx")
CALLS = ("accept", "recv", "send", "wait", "other")
ENDED = ("run.finished", "run.stopped", "run.failed")


class Metrics:
    """One lab's registry, and the few figures that the control plane itself observes."""

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
        self.registry.register(_Engines(lab))
        self.registry.register(_Runs(lab))

    def text(self) -> bytes:
        """The whole page, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Engines(Collector):
    """Engines by model. Counters keep what ended engines have counted, so that they never fall."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._gone: defaultdict[str, Counter[str]] = defaultdict(
            Counter
        )  # by model, of engines that were forgotten
        lab.fleet.on_removed = self._forget

    def _forget(self, engine: Engine, sampler: Sampler) -> None:
        self._gone[engine.model.name].update(_count(sampler))

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        totals = self._totals()
        yield from _counters(totals)
        yield from self._gauges()

    def _totals(self) -> dict[str, Counter[str]]:
        fleet = self._lab.fleet
        totals = defaultdict(Counter, {model: counted.copy() for model, counted in self._gone.items()})
        for id, engine in fleet.engines.items():
            sampler = fleet.samplers[id]
            if not engine.alive and not sampler.is_final:
                sampler.sample(time.monotonic_ns())  # what it did since the last sample would be missing
            totals[engine.model.name].update(_count(sampler))
        return totals

    def _gauges(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("threadlab_engines", "Engines by state.", labels=("model", "state"))
        memory = GaugeMetricFamily(
            "threadlab_engine_resident_memory_bytes", "Resident memory.", labels=("model",)
        )
        threads = GaugeMetricFamily("threadlab_engine_threads", "Threads by role.", labels=("model", "role"))
        peers = GaugeMetricFamily(
            "threadlab_engine_connections", "Connections by state.", labels=("model", "state")
        )
        queue = GaugeMetricFamily(
            "threadlab_engine_queue_depth", "Requests waiting for a worker.", labels=("model",)
        )
        alive = self._lab.fleet.alive
        for view in self._lab.models.views.values():
            engines = [e for e in self._lab.fleet.engines.values() if e.model.name == view.name]
            samples = [
                s for e in alive if e.model.name == view.name and (s := self._lab.fleet.samplers[e.id].last)
            ]
            for state in EngineState:
                states.add_metric((view.name, state), sum(e.state == state for e in engines))
            memory.add_metric((view.name,), sum(s.process.rss_bytes for s in samples if s.process))
            queue.add_metric((view.name,), sum(s.board.queue_depth for s in samples))
            held: Counter[str] = Counter()
            roles: Counter[str] = Counter({role.name: 0 for role in view.roles})
            for sample in samples:
                held.update(sample.board.connections)
                roles.update(thread.role for thread in sample.board.threads)
            for role, count in roles.items():
                threads.add_metric((view.name, role), count)
            for kind in ("idle", "reading", "queued", "handling", "writing"):
                peers.add_metric((view.name, kind), held[kind])
        yield from (states, memory, threads, peers, queue)


def _count(sampler: Sampler) -> Counter[str]:
    """What an engine has counted since it started."""
    counters = sampler.last.board.counters if sampler.last else {}
    return Counter({**counters, "cpu_ns": sampler.cpu_ns})


def _counters(totals: dict[str, Counter[str]]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "threadlab_engine_requests", "Requests answered.", labels=("model", "class")
    )
    moved = CounterMetricFamily("threadlab_engine_bytes", "Bytes moved.", labels=("model", "direction"))
    calls = CounterMetricFamily(
        "threadlab_engine_io_calls", "I/O system calls, by kind.", labels=("model", "call")
    )
    cpu = CounterMetricFamily("threadlab_engine_cpu_seconds", "CPU time.", labels=("model",))
    waited = CounterMetricFamily(
        "threadlab_engine_queue_wait_seconds", "Time in the queue.", labels=("model",)
    )
    for model, counted in sorted(totals.items()):
        for name in CLASSES:
            requests.add_metric((model, name), counted[f"requests_{name}"])
        for direction in ("in", "out"):
            moved.add_metric((model, direction), counted[f"bytes_{direction}"])
        for call in CALLS:
            calls.add_metric((model, call), counted[f"{call}_calls"])
        cpu.add_metric((model,), counted["cpu_ns"] / 1e9)
        waited.add_metric((model,), counted["queue_wait_us"] / 1e6)
    yield from (requests, moved, calls, cpu, waited)


@dataclass
class _Latency:
    """A Prometheus histogram in the making."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_S) + 1))
    total_s: float = 0.0

    def add(self, text: str) -> None:
        """Add a whole HdrHistogram."""
        for us, count in histogram.buckets(histogram.decode(text)):
            self.counts[bisect_left(LATENCY_S, us / 1e6)] += count
            self.total_s += us * count / 1e6

    def buckets(self) -> list[tuple[str, float]]:
        found, running = [], 0
        for bound, count in zip((*map(str, LATENCY_S), "+Inf"), self.counts, strict=True):
            running += count
            found.append((bound, float(running)))
        return found


class _Runs(Collector):
    """What finished runs have found, by model."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._latency: dict[str, defaultdict[str, _Latency]] = {
            clock: defaultdict(_Latency) for clock in ("service", "response")
        }
        self._cpu_s: dict[str, float] = {}
        lab.events.subscribe(self._event)

    def describe(self) -> list[Metric]:
        return []

    def _event(self, event: Event) -> None:
        if event.name not in ENDED or event.run is None or event.model is None:
            return
        view = self._lab.runs.get(event.run)
        self._verdicts[event.model, view.verdict.name if view.verdict else "none"] += 1
        if view.ledger and view.ledger.cpu_us is not None:
            self._cpu_s[event.model] = view.ledger.cpu_us / 1e6
        outcome: dict[str, Any] = self._lab.store.outcome(event.run) or {}
        for kind in outcome.get("kinds", ()):
            for clock, by_model in self._latency.items():
                by_model[event.model].add(kind[clock])

    def collect(self) -> Iterator[Metric]:
        models = sorted(self._lab.models.views)  # all from the start: a series that begins at 1 has no rate
        runs = CounterMetricFamily(
            "threadlab_runs", "Runs that have ended, by verdict.", labels=("model", "verdict")
        )
        for labels in ((model, verdict) for model in models for verdict in (*VerdictName, "none")):
            runs.add_metric(labels, self._verdicts[labels])
        yield runs
        for clock, by_model in self._latency.items():
            family = HistogramMetricFamily(
                f"threadlab_run_{clock}_seconds",
                f"Latency of finished runs, {clock} time.",
                labels=("model",),
            )
            for model in models:
                family.add_metric((model,), by_model[model].buckets(), by_model[model].total_s)
            yield family
        cost = GaugeMetricFamily(
            "threadlab_run_cpu_seconds_per_request",
            "Engine CPU a request, of the last run.",
            labels=("model",),
        )
        for model, seconds in sorted(self._cpu_s.items()):
            cost.add_metric((model,), seconds)
        yield cost
