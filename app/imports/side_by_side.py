"""Compares the figures of an imported result with those of a run. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app import format
from app.schemas.imported_result import ImportedFigures
from app.schemas.run import RunView

Formatter = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of an imported result and of a run as text, a dash where it is unknown."""

    name: str
    theirs: str  # of the imported result
    ours: str  # of the run
    ratio: str  # theirs / ours


def compare_figures(imported: ImportedFigures, run: RunView | None) -> list[ComparedFigure]:
    """Return every figure that the tools print, with that of the run if there is one."""
    of_run = _figures_of_run(run) if run else {}
    found = []
    for name, (value, text) in _figures(imported).items():
        own = of_run.get(name)
        ratio = f"{value / own:.2f}" if value is not None and own else format.DASH
        found.append(ComparedFigure(name, text(value), text(own), ratio))
    return found


def _figures(result: ImportedFigures) -> dict[str, tuple[float | None, Formatter]]:
    return {
        "responses": (result.requests, format.count),
        "errors": (result.errors, format.count),
        "late responses": (result.late, format.count),
        "throughput": (result.rate_per_s, format.request_rate),
        "duration": (result.duration_s, format.seconds),
        "p50 service": (result.p50_us, format.us),
        "p90 service": (result.p90_us, format.us),
        "p99 service": (result.p99_us, format.us),
        "max service": (result.max_us, format.us),
    }


def _figures_of_run(run: RunView) -> dict[str, float | None]:
    summary = run.summary
    if summary is None:
        return {}
    service = summary.latency.service
    return {
        "responses": summary.requests,
        "errors": sum(summary.errors.values()),
        "throughput": summary.achieved_per_s,
        "duration": summary.duration_s,
        "p50 service": service.p50_us,
        "p90 service": service.p90_us,
        "p99 service": service.p99_us,
        "max service": service.max_us,
    }
