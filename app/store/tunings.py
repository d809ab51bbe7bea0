"""The stored tunings: the view of each as JSON, with its runs."""

from __future__ import annotations

from sqlalchemy import URL

from app.schemas.states import JobState
from app.schemas.tuning import TuningView
from app.store.schema import TuningRow
from app.store.view_store import ViewStore


def _columns(view: TuningView) -> dict[str, str]:
    return {"state": view.state, "created_at": view.created_at}


class TuningStore(ViewStore[TuningView]):
    """Tunings by id; the runs of a deleted tuning remain."""

    def __init__(self, url: str | URL) -> None:
        super().__init__(url, TuningView, TuningRow, JobState, _columns)
