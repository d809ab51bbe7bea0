"""The notes on a trial: sentences about missing connections and about a server pause. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app import format
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.results.summary import merged_histogram
from app.schemas.result import Summary


def notes(plan: Plan, outcome: Outcome, summary: Summary, stalled_ns: int) -> tuple[str, ...]:
    """Return the notes on a trial. `stalled_ns`: how long the server was paused, 0 if it was not."""
    return (
        *_connections(plan, outcome),
        *_groups(plan, outcome),
        *_stall(plan, outcome, summary, stalled_ns),
    )


def _connections(plan: Plan, outcome: Outcome) -> Iterator[str]:
    if outcome.missing:
        yield (
            f"{outcome.missing:,} of {plan.vus:,} connections were not open when the load began; "
            "the load generator retried 20 times per second."
        )
    if outcome.idle_missing:
        yield (
            f"{outcome.idle_missing:,} of {plan.idle_connections:,} idle connections were not accepted "
            "when the load began."
        )
    if outcome.background_closed:
        yield f"The server closed {outcome.background_closed:,} slow connections; each reconnected after 1 s."
    if outcome.time_wait is not None:
        yield f"When the load ended, {outcome.time_wait:,} connections of this machine were in TIME_WAIT."


def _groups(plan: Plan, outcome: Outcome) -> Iterator[str]:
    for group in plan.groups:
        found = outcome.groups.get(group.name)
        if found is None:
            yield f"Load group {group.name} has no result: its process ended early."
        elif found.missing:
            yield (
                f"{found.missing:,} of {group.vus:,} connections of load group {group.name} were not open "
                "when the load began."
            )


def _stall(plan: Plan, outcome: Outcome, summary: Summary, stalled_ns: int) -> Iterator[str]:
    """Yield how many requests the pause affected, and how many of them each clock shows.

    A tool that measures from the actual send misses the wait before it: coordinated omission (Gil Tene, "How
    NOT to Measure Latency").
    """
    if not stalled_ns:
        return
    stalled_s = stalled_ns / 1e9
    rate = summary.offered_per_s or summary.achieved_per_s
    hit = format.count(rate * stalled_s)
    yield f"The server was paused for {format.seconds(stalled_s)}; about {hit} requests hit the stall."
    if not plan.is_open:
        yield (
            f"A closed load sends nothing while it waits: at most {plan.vus_peak * plan.pipeline:,} requests "
            "show the stall, and the others were never sent. Use a fixed rate to measure how long they would "
            "have waited (coordinated omission)."
        )
        return
    half_ms = stalled_s * 500
    response, service = _above(outcome, "response", half_ms), _above(outcome, "service", half_ms)
    yield (
        f"By response time {response:,} requests took longer than {format.us(half_ms * 1e3)}; by service "
        f"time, which closed-loop tools report, {service:,} did (coordinated omission)."
    )


def _above(outcome: Outcome, clock: str, ms: float) -> int:
    """Return the number of requests that took longer than `ms` milliseconds by one clock."""
    return sum(n for us, n in histogram.buckets(merged_histogram(outcome, clock)) if us > 1000 * ms)
