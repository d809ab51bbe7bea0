"""Columns that the list of runs is filtered, sorted and searched by, filled from the stored views."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ADDED: dict[str, Any] = {
    "finished_at": sa.String(32),
    "scenario": sa.String(64),
    "verdict": sa.String(32),
    "rankable": sa.Boolean(),
    "comparison": sa.Integer(),
    "rate_per_s": sa.Float(),
    "p99_us": sa.Float(),
    "cpu_us": sa.Float(),
    "words": sa.Text(),
}
INDEXED = ("scenario", "verdict", "comparison")


def upgrade() -> None:
    """Add the columns and fill them, one view at a time: a history may be larger than memory."""
    for name, kind in ADDED.items():
        op.add_column("runs", sa.Column(name, kind))
    for name in INDEXED:
        op.create_index(f"ix_runs_{name}", "runs", [name])
    runs = sa.table("runs", sa.column("id"), sa.column("view"), *map(sa.column, ADDED))
    connection = op.get_bind()
    for id in connection.scalars(sa.select(runs.c.id)).all():
        view = json.loads(connection.scalar(sa.select(runs.c.view).where(runs.c.id == id)) or "{}")
        connection.execute(sa.update(runs).where(runs.c.id == id).values(**_columns(view)))


def _columns(view: dict[str, Any]) -> dict[str, Any]:
    """Return what `app.store.columns` computed when this migration was written; migrations never change."""
    verdict, summary = view.get("verdict") or {}, view.get("summary") or {}
    return {
        "finished_at": view.get("finished_at"),
        "scenario": view.get("scenario"),
        "verdict": verdict.get("name"),
        "rankable": verdict.get("rankable"),
        "comparison": view.get("comparison"),
        "rate_per_s": summary.get("achieved_per_s"),
        "p99_us": ((summary.get("latency") or {}).get("response") or {}).get("p99_us"),
        "cpu_us": (view.get("ledger") or {}).get("cpu_us"),
        "words": _words(view),
    }


def _words(view: dict[str, Any]) -> str:
    names = ("label", "title", "model_title", "model", "engine", "plan_text", "scenario")
    parts = [view[name] for name in names if view.get(name)]
    return " · ".join(
        [*parts, *(f"{name}={value}" for name, value in (view.get("knobs") or {}).items())]
    ).casefold()
