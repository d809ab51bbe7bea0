"""A foreign tool's figures beside those of a run of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app import format
from app.schemas.imported_result import ImportedFigures
from app.schemas.run import RunView

Words = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both, in words; a dash where one is not known."""

    name: str
    theirs: str
    ours: str
    ratio: str  # theirs / ours


def rows(theirs: ImportedFigures, ours: RunView | None) -> list[Row]:
    """Every figure that the tools print, and beside it that of the run."""
    mine = _figures_of(ours) if ours else {}
    found = []
    for name, (value, words) in _figures(theirs).items():
        own = mine.get(name)
        ratio = f"{value / own:.2f}" if value is not None and own else format.DASH
        found.append(Row(name, words(value), words(own), ratio))
    return found


def table(theirs: ImportedFigures, ours: RunView | None = None) -> str:
    """The foreign figures, and beside them those of a run and what theirs are of ours, as lines of text."""
    head = f"{'':16}{theirs.tool:>14}" + (
        f"{f'run {ours.id}':>14}{f'{theirs.tool} / run':>14}" if ours else ""
    )
    lines = [head.rstrip()]
    for row in rows(theirs, ours):
        lines.append(f"{row.name:16}{row.theirs:>14}" + (f"{row.ours:>14}{row.ratio:>14}" if ours else ""))
    if theirs.missing:
        lines.append(theirs.missing)
    if ours and ours.verdict:
        lines.append(f"Run {ours.id}: {ours.model}, {ours.plan_text}. {ours.verdict.title}.")
    return "\n".join(lines)


def _figures(result: ImportedFigures) -> dict[str, tuple[float | None, Words]]:
    return {
        "answers": (result.requests, format.count),
        "failed": (result.errors, format.count),
        "too late": (result.late, format.count),
        "answers a second": (result.rate_per_s, format.rate),
        "duration": (result.duration_s, seconds),
        "p50 service": (result.p50_us, format.us),
        "p90 service": (result.p90_us, format.us),
        "p99 service": (result.p99_us, format.us),
        "max service": (result.max_us, format.us),
    }


def seconds(value: float | None) -> str:
    return format.DASH if value is None else f"{value:.1f} s"


def _figures_of(run: RunView) -> dict[str, float | None]:
    summary = run.summary
    if summary is None:
        return {}
    service = summary.latency.service
    return {
        "answers": summary.requests,
        "failed": sum(summary.errors.values()),
        "answers a second": summary.achieved_per_s,
        "duration": summary.duration_s,
        "p50 service": service.p50_us,
        "p90 service": service.p90_us,
        "p99 service": service.p99_us,
        "max service": service.max_us,
    }
