"""What is to be said of a trial beside its numbers and its verdict, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from app.lab.views import Summary
from app.load.outcome import Outcome
from app.load.plan import Plan


def notes(plan: Plan, outcome: Outcome, summary: Summary, stalled_ns: int) -> tuple[str, ...]:
    """The load generator's own remarks, and what a stall hid from whom."""
    said = [f"{note[0].upper()}{note[1:]}." for note in outcome.notes if note]
    return (*said, *_stall(plan, summary, stalled_ns))


def _stall(plan: Plan, summary: Summary, stalled_ns: int) -> Iterator[str]:
    if not stalled_ns:
        return
    stalled_s = stalled_ns / 1e9
    rate = summary.offered_per_s or summary.achieved_per_s
    yield f"The engine was stopped for {1000 * stalled_s:,.0f} ms; about {rate * stalled_s:,.0f} requests fell into it."
    if not plan.is_open:
        yield (
            f"A closed load sends nothing while it waits: at most {plan.vus * plan.pipeline:,} of them show the stall, "
            "and the others were never sent. Offer a rate to see what their senders would have waited "
            "(coordinated omission)."
        )
        return
    response, service = summary.latency.response, summary.latency.service
    yield (
        f"Response time counts their waiting: p99 {_ms(response.p99_us)}, mean {_ms(response.mean_us)}. A closed-model "
        f"tool sees the service time of the same run only: p99 {_ms(service.p99_us)}, mean {_ms(service.mean_us)}. "
        "What lies between is what coordinated omission hides."
    )


def _ms(us: float | None) -> str:
    return "not known" if us is None else f"{us / 1000:,.1f} ms" if us >= 10_000 else f"{us / 1000:,.2f} ms"
