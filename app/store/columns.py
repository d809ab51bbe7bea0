"""What of a run's view stands in columns of its own."""

from __future__ import annotations

from typing import Any

from app.schemas.run import RunView


def columns(view: RunView) -> dict[str, Any]:
    """The columns that lists are filtered, sorted and found by."""
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
        "words": words(view),
    }


def words(view: RunView) -> str:
    """What a search looks through: label, titles, the plan in words, engine and knobs."""
    parts = (view.label, view.title, view.model_title, view.model, view.engine, view.plan_text, view.scenario)
    knobs = (f"{name}={value}" for name, value in view.knobs.items())
    return " · ".join([*filter(None, parts), *knobs]).casefold()
