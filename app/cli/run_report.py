"""A run as lines of text, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app import format
from app.cli.console import Styled
from app.cli.exit_codes import BREACHED, FAILED, OK, SIGNALLED
from app.results.figures import Family, figure
from app.results.fitness import invalid_figures, lateness_effect_us
from app.schemas.result import Summary
from app.schemas.run import RunView
from app.schemas.states import VerdictName

GOOD, BAD, WARNING, TITLE = "green", "red", "yellow", "bold"
_STYLES = {
    VerdictName.SERVER_BOUND: GOOD,
    VerdictName.UNSATURATED: GOOD,
    VerdictName.ERRORS_DOMINATE: BAD,
    VerdictName.KERNEL_DROPS: BAD,
}


def exit_code(view: RunView, stopped_by: int | None) -> int:
    """Return the exit code of a run.

    0, 1 without a result, 3 if a threshold was not met, 128 + `stopped_by` if a signal stopped the run.
    """
    if stopped_by is not None:
        return SIGNALLED + stopped_by
    if view.summary is None or view.state == "failed":
        return FAILED
    return BREACHED if any(threshold.breached for threshold in view.thresholds) else OK


def lines(view: RunView) -> list[str]:
    """Return what a person reads of a run, line by line: verdict, figures, notes and thresholds."""
    return [
        Styled(f"Run {view.id}: {view.model}, {view.plan_text}", TITLE),
        *application(view.environment),
        *_verdict(view),
        *_figures(view),
        *(
            _mark(step.kept, f"{step.rate_per_s:>10,.6g} req/s  {step.seen:>10}  {step.because}")
            for step in (view.capacity.steps if view.capacity else ())
        ),
        *(f"  {note}" for note in view.notes),
        *_costs(view),
        *(_mark(not each.breached, f"{each.text}: {each.seen}") for each in view.thresholds),
    ]


def application(environment: Mapping[str, Any]) -> list[str]:
    """Return a line that names the user's application, if one was served."""
    return [f"Application: {environment['application']}"] if environment.get("application") else []


def _mark(is_met: bool, text: str) -> str:
    return Styled(f"  ✓ {text}", GOOD) if is_met else Styled(f"  ✗ {text}", BAD)


def _verdict(view: RunView) -> Iterator[str]:
    if (verdict := view.verdict) and verdict.because != (view.failure,):
        style = _STYLES.get(verdict.name, WARNING)
        yield Styled(f"Verdict: {verdict.title}. {' '.join(verdict.because)}", style)
        if verdict.figure:
            yield f"  {_main_figure(view)}"
        for reason, names in invalid_figures(verdict).items():
            yield Styled(f"  Not valid: {names}. {reason}", WARNING)
    if view.failure:
        yield view.failure if view.state == "stopped" else Styled(f"Failed: {view.failure}", BAD)


def _figures(view: RunView) -> Iterator[str]:
    if summary := view.summary:
        response = summary.latency.response
        yield f"  {format.rate(summary.achieved_per_s)} requests/s; {summary.counts}"
        percentiles = (("p50", response.p50_us), ("p99", response.p99_us), ("max", response.max_us))
        yield f"  response time {'  '.join(f'{name} {_ms(us)}' for name, us in percentiles)}"
        if summary.errors:
            yield f"  errors: {', '.join(f'{name} {count:,}' for name, count in summary.errors.items())}"
        yield from _fairness(summary)
        for name, group in summary.groups.items():
            yield from _group(name, group)


def _group(name: str, group: Summary) -> Iterator[str]:
    """Yield the lines of a load group."""
    offered = "" if group.offered_per_s is None else f" of {format.rate(group.offered_per_s)}"
    times = group.latency.response
    percentiles = (("p50", times.p50_us), ("p99", times.p99_us), ("max", times.max_us))
    latency = "  ".join(f"{each} {_ms(us)}" for each, us in percentiles)
    yield f"  group {name}: {format.rate(group.achieved_per_s)}{offered} requests/s; {group.counts}"
    yield f"  group {name}: response time {latency}"
    yield from _fairness(group, f"group {name}: ")


def _fairness(load: Summary, prefix: str = "") -> Iterator[str]:
    if found := load.fairness:
        counts = f"{found.requests_min:,} to {found.requests_max:,} on {found.connections:,} connections"
        yield f"  {prefix}requests per connection {counts}; Jain index {format.decimal(found.jain, 3)}"


def _costs(view: RunView) -> Iterator[str]:
    is_main_figure = view.verdict and view.verdict.figure == "cpu_us"  # which is already there
    if view.ledger and view.ledger.cpu_us is not None and not is_main_figure:
        yield f"  {_cpu(view.ledger.cpu_us)}"
    for phase in view.legs:
        requests, p99 = format.count(phase.requests), _ms(phase.response.p99_us)
        yield f"  {phase.model:14}{requests:>10} requests  p99 {p99:>10}  {_cpu(phase.cpu_us)}"


def _main_figure(view: RunView) -> str:
    """Return the figure of the scenario, and how far the load generator's own lateness changes it."""
    assert view.verdict
    of = figure(view.verdict.figure)
    off = lateness_effect_us(of, view.summary) if of.family is Family.LATENCY else None
    value = of.text(of.value(view.summary, view.ledger, view.capacity))
    text = f"{of.title[:1].upper()}{of.title[1:]}: {value}"
    return text if off is None else f"{text} (load-generator lateness: {_ms(off)})"


def _cpu(us: float | None) -> str:
    return format.DASH if us is None else f"{us:.1f} CPU µs/request"


def _ms(us: float | None) -> str:
    return format.DASH if us is None else f"{us / 1000:.2f} ms"
