"""The stored comparisons: the view of each as JSON, and its latency curves."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import URL

from app.schemas.comparison import ComparisonView
from app.schemas.states import JobState
from app.store.schema import ComparisonRow
from app.store.view_store import ViewStore


def _columns(view: ComparisonView) -> dict[str, Any]:
    return {"state": view.state, "created_at": view.created_at}


class ComparisonStore(ViewStore[ComparisonView]):
    """Comparisons by id; the runs of a deleted comparison remain."""

    def __init__(self, url: str | URL) -> None:
        super().__init__(url, ComparisonView, ComparisonRow, JobState, _columns)

    def save_result(self, view: ComparisonView, curves: dict[str, Any]) -> None:
        """Store a changed comparison with its latency curves by entry."""
        self.save(view, curves=json.dumps(curves))

    def curves(self, id: int) -> dict[str, Any] | None:
        """Return the latency curves of a comparison by entry; None if there are none."""
        return self._json(id, ComparisonRow.curves)
