"""The figures that claims are tested by: those of runs, and further ones that are computed from a run. Pure.

Each states which figures of the run decide whether it is valid, so that a busy load generator voids a
throughput and not a number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from app import format
from app.results.figures import Family, Figure, figure
from app.results.fitness import invalid_reason
from app.schemas.run import RunView
from app.schemas.states import VerdictName

SAMPLES_MIN = 1000  # of a 99th percentile: ten above it
COST, RATE = "cpu_us", "achieved_per_s"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure of a run. `judged_by`: the figures of the run whose validity is needed."""

    name: str
    title: str
    text: Callable[[float | None], str]
    value: Callable[[RunView], float | None]
    judged_by: tuple[str, ...]


@cache
def measurement(name: str) -> Measurement:
    """Return the figure of this name. Raises KeyError if there is none.

    A figure of app/results/figures.py, one of this module, or `occupied:ROLE`, `waiting:ROLE` and
    `stalled:ROLE`, which are shares of the threads of a role.
    """
    if name in _DERIVED:
        return _DERIVED[name]
    kind, _, role = name.partition(":")
    if role and kind in _OF_ROLE:
        return _of_role(name, kind, role)
    of = figure(name)
    if of.family is Family.LATENCY:
        load = f"{of.group}:{RATE}" if of.group else RATE
        return Measurement(name, of.title, of.text, lambda run: _percentile(of, run), (load,))
    return Measurement(
        name, of.title, of.text, lambda run: of.value(run.summary, run.ledger, run.capacity), (name,)
    )


def _percentile(of: Figure, run: RunView) -> float | None:
    """Return a percentile of response time, corrected for late sends of the load generator where possible.

    So lateness does not void it, as it would void the percentile of a single run.
    """
    raw, corrected = of.times(run.summary)
    exact: float | None = getattr(corrected or raw, of.name, None)
    return exact


def values(names: Iterable[str], run: RunView) -> dict[str, float | None]:
    """Return these figures of a finished run; None: unknown."""
    return {name: measurement(name).value(run) for name in names}


def void_reasons(
    names: Iterable[str], run: RunView, tolerated: frozenset[VerdictName] = frozenset()
) -> dict[str, str]:
    """Return the figures that do not count, each with the reason in one sentence.

    `tolerated`: verdicts that are the effect which the claim predicts.
    """
    reasons = ((name, _void_reason(measurement(name), run, tolerated)) for name in names)
    return {name: reason for name, reason in reasons if reason}


def _void_reason(of: Measurement, run: RunView, tolerated: frozenset[VerdictName]) -> str | None:
    verdict = run.verdict
    if verdict is None or run.summary is None:
        return run.failure or f"No data was collected: the run was {run.state}."
    for name in of.judged_by:
        reason = invalid_reason(verdict, name)
        if reason and not (verdict.name in tolerated and reason.startswith(verdict.title)):
            return reason
    if of.value(run) is None:
        return f"The {of.title} is unknown."
    return _too_few_samples(of, run)


def _too_few_samples(of: Measurement, run: RunView) -> str | None:
    label, _, percentile = of.name.rpartition(".")
    if percentile != "p99_us" or run.summary is None:
        return None
    times, _ = figure(of.name).times(run.summary)
    count = times.count if times else 0
    if count >= SAMPLES_MIN:
        return None
    what = f"of {label} " if label else ""
    return f"Only {count:,} requests {what}were measured; a p99 needs {SAMPLES_MIN:,}."


def _share_text(value: float | None) -> str:
    return format.share(value)


def _number(places: int) -> Callable[[float | None], str]:
    return lambda value: format.decimal(value, places)


def _evidence(run: RunView, name: str) -> float | None:
    value = run.verdict.evidence.get(name) if run.verdict else None
    return float(value) if isinstance(value, int | float) else None


def _of_role(name: str, kind: str, role: str) -> Measurement:
    title, key, complement = _OF_ROLE[kind]

    def value(run: RunView) -> float | None:
        share = _evidence(run, f"{key}_{role}")
        return share if share is None or not complement else 1 - share

    return Measurement(name, title.format(role=role), _share_text, value, (COST,))


# By kind: title, name in the evidence, whether the complement of the share is meant.
_OF_ROLE = {
    "occupied": ("share of time in which a {role} has work", "occupied", False),
    "waiting": ("share of time in which a {role} waits for work", "occupied", True),
    "stalled": ("share of its occupied time in which a {role} waits for the GIL or a lock", "stalled", False),
}


def _cores_used(run: RunView) -> float | None:
    if run.ledger is None or run.ledger.cpu_us is None or run.summary is None:
        return None
    return run.ledger.cpu_us * run.summary.achieved_per_s / 1e6


def _worker_fairness(run: RunView) -> float | None:
    return _evidence(run, "jain_worker")


def _switches(run: RunView) -> float | None:
    ledger = run.ledger
    if ledger is None or ledger.voluntary_switches is None or ledger.involuntary_switches is None:
        return None
    return ledger.voluntary_switches + ledger.involuntary_switches


def _idlest_cpu(run: RunView) -> float | None:
    evidence = run.verdict.evidence if run.verdict else {}
    busy = [
        float(value)
        for name, value in evidence.items()
        if name.startswith("busy_cpu_") and isinstance(value, int | float)
    ]
    return 1 - min(busy) if busy else None


def _connections(run: RunView) -> float | None:
    return float(run.summary.connections_peak) if run.summary else None


def _connection_memory(run: RunView) -> float | None:
    """Return the anonymous memory and the kernel stacks that all connections added."""
    ledger, connections = run.ledger, _connections(run)
    if ledger is None or not connections:
        return None
    if ledger.anon_bytes_per_connection is None or ledger.kernel_stack_bytes is None:
        return None
    return ledger.anon_bytes_per_connection * connections + ledger.kernel_stack_bytes


_DERIVED = {
    each.name: each
    for each in (
        Measurement("cores_used", "cores used", _number(2), _cores_used, (COST, RATE)),
        Measurement("switches", "context switches per request", _number(2), _switches, (COST,)),
        Measurement("idlest_cpu", "idle share of the idlest CPU", _share_text, _idlest_cpu, (COST,)),
        Measurement(
            "worker_fairness",
            "Jain index of requests per worker process",
            _number(3),
            _worker_fairness,
            (COST,),
        ),
        Measurement("connections", "connections", format.count, _connections, (COST,)),
        Measurement(
            "connection_memory_bytes",
            "memory and kernel stacks of all connections",
            format.size,
            _connection_memory,
            (COST,),
        ),
    )
}
