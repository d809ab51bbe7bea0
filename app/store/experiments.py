"""The stored experiments: the view of each as JSON, with its rounds."""

from __future__ import annotations

from sqlalchemy import URL, Select, select
from sqlalchemy.orm import Session

from app.schemas.experiment import ExperimentView
from app.schemas.states import JobState
from app.store.owner import THIS_PROCESS
from app.store.schema import ExperimentRow
from app.store.view_store import ViewStore


def _columns(view: ExperimentView) -> dict[str, str | None]:
    return {"state": view.state, "created_at": view.created_at, "claim": view.claim, "answer": view.answer}


class ExperimentStore(ViewStore[ExperimentView]):
    """Experiments by id; the runs of a deleted experiment remain."""

    def __init__(self, url: str | URL) -> None:
        super().__init__(url, ExperimentView, ExperimentRow, JobState, _columns)

    def reopen(self, view: ExperimentView) -> None:
        """Store an experiment that this process resumes."""
        self.save(view, owner=THIS_PROCESS)

    def answered(self, claim: str, limit: int) -> list[ExperimentView]:
        """Return the newest experiments of a claim that have an answer, newest first."""
        query = (
            select(ExperimentRow.view)
            .where(ExperimentRow.claim == claim, ExperimentRow.answer.is_not(None))
            .where(ExperimentRow.state.not_in(self._unfinished))
            .order_by(ExperimentRow.id.desc())
            .limit(limit)
        )
        return self._read(query)

    def calibrated(self) -> ExperimentView | None:
        """Return the newest experiment whose session has measured its A/A pair; None: there is none."""
        query = (
            select(ExperimentRow.view)
            .where(ExperimentRow.view.not_like('%"calibration":null%'))
            .where(ExperimentRow.view.not_like('%"ratios":[],"deviation":null%'))  # it was stopped
            .order_by(ExperimentRow.id.desc())
            .limit(1)
        )
        return next(iter(self._read(query)), None)

    def _read(self, query: Select[str]) -> list[ExperimentView]:
        with Session(self._engine) as session:
            texts = session.scalars(query).all()
        return [self._adapter.validate_json(text) for text in texts]
