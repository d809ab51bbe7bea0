"""The columns of a run's row, which repeat a part of its view for filtering and sorting."""

from __future__ import annotations

from typing import Any

from app.schemas.run import RunView


def column_values(view: RunView) -> dict[str, Any]:
    """Return the values of the columns that lists are filtered, sorted and searched by."""
    summary, ledger, verdict = view.summary, view.ledger, view.verdict
    return {
        "state": view.state,
        "model": view.model,
        "created_at": view.created_at,
        "finished_at": view.finished_at,
        "scenario": view.scenario,
        "comparison": view.comparison,
        "verdict": verdict.name if verdict else None,
        "rankable": verdict.rankable if verdict else None,
        "rate_per_s": summary.achieved_per_s if summary else None,
        "p99_us": summary.latency.response.p99_us if summary else None,
        "cpu_us": ledger.cpu_us if ledger else None,
        "words": search_text(view),
    }


def search_text(view: RunView) -> str:
    """Return the text that a search looks through, in lower case: label, titles, plan, knobs, comment."""
    parts = (view.label, view.title, view.model_title, view.model, view.engine, view.plan_text, view.scenario)
    knobs = (f"{name}={value}" for name, value in view.knobs.items())
    return " · ".join(filter(None, [*parts, *knobs, view.comment])).casefold()
