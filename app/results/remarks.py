"""What is to be said of a trial beside its numbers and its verdict, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.results.summary import total
from app.schemas.result import Summary


def notes(plan: Plan, outcome: Outcome, summary: Summary, stalled_ns: int) -> tuple[str, ...]:
    """What became of its connections, and what a stall hid from whom."""
    return (*_connections(plan, outcome), *_stall(plan, outcome, summary, stalled_ns))


def _connections(plan: Plan, outcome: Outcome) -> Iterator[str]:
    if outcome.missing:
        yield (
            f"{outcome.missing:,} of {plan.vus:,} connections were not there when the load began; they are tried "
            "again 20 times a second."
        )
    if outcome.idle_missing:
        yield (
            f"{outcome.idle_missing:,} of {plan.idle_connections:,} idle connections were not served when the load "
            "began."
        )
    if outcome.background_closed:
        yield f"The server closed {outcome.background_closed:,} slow connections; each comes again after a second."
    if outcome.time_wait is not None:
        yield f"When the load ended, {outcome.time_wait:,} connections of this machine were in TIME_WAIT."


def _stall(plan: Plan, outcome: Outcome, summary: Summary, stalled_ns: int) -> Iterator[str]:
    if not stalled_ns:
        return
    stalled_s = stalled_ns / 1e9
    rate = summary.offered_per_s or summary.achieved_per_s
    yield f"The engine was stopped for {1000 * stalled_s:,.0f} ms; about {rate * stalled_s:,.0f} requests fell into it."
    if not plan.is_open:
        yield (
            f"A closed load sends nothing while it waits: at most {plan.vus_peak * plan.pipeline:,} of them show the "
            "stall, and the others were never sent. Offer a rate to see what their senders would have waited "
            "(coordinated omission)."
        )
        return
    half_ms = stalled_s * 500
    waited, seen = _above(outcome, "response", half_ms), _above(outcome, "service", half_ms)
    yield (
        f"By response time {waited:,} requests took longer than {half_ms:,.0f} ms; by service time, all that a "
        f"closed-model tool sees of the same run, {seen:,} did. What lies between is what coordinated omission hides."
    )


def _above(outcome: Outcome, clock: str, ms: float) -> int:
    return sum(n for us, n in histogram.buckets(total(outcome, clock)) if us > 1000 * ms)
