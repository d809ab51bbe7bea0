"""Decides what limited a run (the verdict), with the sentences and checks that support it. Pure.

The first rule that applies decides (docs/results.md): degraded; error rate; listen-queue drops; generator
saturated; open load below its target rate while the server had capacity; server saturated; Little's law;
otherwise not saturated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from app import format
from app.results.checks import busiest, capitalised, checks, utilisation_name
from app.results.evidence import Evidence
from app.results.limits import (
    CLOSED_SATURATED_MIN,
    ERRORS_MAX,
    GENERATOR_CPU_MAX,
    GENERATOR_WAIT_MAX,
    GENERATOR_WAIT_SHOWN,
    LITTLE_ERROR_MAX,
    LITTLE_REQUESTS_MIN,
    OPEN_SATURATED_MIN,
    RATE_RATIO_MIN,
)
from app.schemas.capacity import Capacity
from app.schemas.result import Verdict
from app.schemas.states import VerdictName

TITLES: Mapping[VerdictName, str] = {
    VerdictName.SERVER_BOUND: "Limited by the server",
    VerdictName.CLIENT_BOUND: "Limited by the load generator",
    VerdictName.UNSATURATED: "Not saturated",
    VerdictName.RATE_MISSED: "Target rate not reached",
    VerdictName.ERRORS_DOMINATE: "Error rate too high",
    VerdictName.KERNEL_DROPS: "Listen queue overflowed",
    VerdictName.NOISY: "Inconsistent measurement",
    VerdictName.DEGRADED: "Degraded",
}
STOPPED_TITLE = "Stopped"  # of a degraded run whose engine was stopped on request
NO_RESPONSES = "No responses were received in the measured window."


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict of the first rule that applies, without the fitness of its figures."""
    name, because = next((name, found) for name, rule in _RULES if (found := rule(evidence)))
    stopped = name == VerdictName.DEGRADED and evidence.engine_stopped
    title = STOPPED_TITLE if stopped else TITLES[name]
    return Verdict(name, title, False, tuple(because), checks(evidence), evidence.numbers())


def with_capacity(verdict: Verdict, capacity: Capacity) -> Verdict:
    """Return the verdict of a capacity search, from that of the trial whose figures it shows."""
    if capacity.kept_per_s is None:
        shown = f"No rate met {capacity.objective}; the figures are those of the last trial."
    else:
        shown = (
            f"The figures are those of the trial at {format.request_rate(capacity.kept_per_s)}, the highest "
            f"rate that met {capacity.objective}."
        )
    return replace(verdict, because=(*verdict.because, shown, *filter(None, [capacity.limited_by])))


def _degraded(e: Evidence) -> list[str]:
    if e.died:
        return [e.died, "Data measured until then is kept."]
    return [e.lost, "The engine ran with fewer processes for part of the run."] if e.lost else []


def _errors(e: Evidence) -> list[str]:
    total = e.requests + e.errors
    if not total:
        return [NO_RESPONSES]
    if e.errors / total <= ERRORS_MAX:
        return []
    return [
        f"{format.share(e.errors / total)} of requests failed (limit {format.share(ERRORS_MAX)}).",
        "The latency of the remaining requests is not representative.",
    ]


def _drops(e: Evidence) -> list[str]:
    if not e.listen_drops or e.other_engines:
        return []
    return [f"The kernel dropped {e.listen_drops:,} connections because the listen queue was full."]


def _generator(e: Evidence) -> list[str]:
    used, waited = e.generator_utilisation, e.generator_waited or 0.0
    if used is None or (used + waited <= GENERATOR_CPU_MAX and waited <= GENERATOR_WAIT_MAX):
        return []
    cpu, limit = f"Load-generator CPU utilisation was {format.share(used)}", format.share(GENERATOR_CPU_MAX)
    if waited > GENERATOR_WAIT_SHOWN:
        limits = f"limits: {limit} in total, {format.share(GENERATOR_WAIT_MAX)} starvation"
        cpu = f"{cpu} and CPU starvation {format.share(waited)} ({limits})."
    else:
        cpu = f"{cpu} (limit {limit})."
    return [cpu, "Treat throughput as a lower bound: the server may be able to handle more."]


def _rate(e: Evidence) -> list[str]:
    if not e.is_open or e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
        return []
    found = busiest(e)
    if e.in_flight_grew or (found and found[1] > OPEN_SATURATED_MIN):
        return []  # the server was the limit: the next rule
    reached = f"Only {format.share(e.rate_ratio)} of the target rate was reached"
    if found is None:
        return [f"{reached}. The utilisation of the server is unknown, so the cause cannot be determined."]
    return [
        f"{reached}, although {utilisation_name(found[0])} was {format.share(found[1])}.",
        "The server was not the limit; too few connections may be.",
    ]


def _server(e: Evidence) -> list[str]:
    found = busiest(e)
    if e.is_open:
        if e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
            return []
        sign = f"{utilisation_name(found[0])} was {format.share(found[1])}" if found else "its backlog grew"
        return [
            f"The server reached {format.share(e.rate_ratio)} of the target rate, and {sign}.",
            "Response time includes the wait in a growing queue.",
        ]
    if e.think_time or found is None or found[1] <= CLOSED_SATURATED_MIN:
        return []
    name = capitalised(utilisation_name(found[0]))
    return [
        "The server was the limit, not the load generator.",
        f"{name} was {format.share(found[1])} (saturated above {format.share(CLOSED_SATURATED_MIN)}).",
    ]


def _little(e: Evidence) -> list[str]:
    """Little's law: the mean number of requests in flight is throughput × mean latency."""
    if (
        e.little_residual is None
        or e.requests < LITTLE_REQUESTS_MIN
        or abs(e.little_residual) <= LITTLE_ERROR_MAX
    ):
        return []
    return [
        f"Requests in flight differ from throughput × latency (Little's law) by "
        f"{format.share(abs(e.little_residual))} (limit {format.share(LITTLE_ERROR_MAX)})."
    ]


def _unsaturated(e: Evidence) -> list[str]:
    found = busiest(e)
    if found is None:
        return ["No saturation was found, but the utilisation of the server is unknown."]
    levels = [f"{utilisation_name(found[0])} {format.share(found[1])}"]
    if e.generator_utilisation is not None:
        levels.append(f"load-generator CPU utilisation {format.share(e.generator_utilisation)}")
    return [f"Neither server nor load generator was saturated: {', '.join(levels)}."]


_RULES: tuple[tuple[VerdictName, Callable[[Evidence], list[str]]], ...] = (
    (VerdictName.DEGRADED, _degraded),
    (VerdictName.ERRORS_DOMINATE, _errors),
    (VerdictName.KERNEL_DROPS, _drops),
    (VerdictName.CLIENT_BOUND, _generator),
    (VerdictName.RATE_MISSED, _rate),
    (VerdictName.SERVER_BOUND, _server),
    (VerdictName.NOISY, _little),
    (VerdictName.UNSATURATED, _unsaturated),
)
