"""The stored runs: the view of each as JSON, its outcome, its series and its trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.schemas.run import RunView
from app.schemas.states import RunState
from app.store.columns import column_values
from app.store.imported_results import ImportedResultStore
from app.store.listing import RunFilter
from app.store.schema import RunRow
from app.store.traces import TraceStore
from app.store.view_store import ViewStore


class RunStore(ViewStore[RunView]):
    """Runs by id, their traces, and (`imported`) the results of other load tools by run."""

    def __init__(self, url: str | URL, traces: Path | None = None) -> None:
        """traces: the folder of the trace files; None: traces are not stored."""
        super().__init__(url, RunView, RunRow, RunState, column_values)
        self._traces = TraceStore(traces) if traces else None
        self.imported = ImportedResultStore(self._engine)

    def add(self, view: RunView) -> RunView:
        """Store a new run and return it with its id."""
        return self.add_all([view])[0]

    def save_ended(self, view: RunView, outcome: dict[str, Any] | None, series: dict[str, Any]) -> None:
        """Store a run that has ended, with the generator's outcome and its series, all of it or nothing."""
        self.save(view, outcome=json.dumps(outcome) if outcome else None, series=json.dumps(series))

    def add_ended(self, view: RunView, outcome: dict[str, Any] | None, series: dict[str, Any]) -> RunView:
        """Store a run that has ended elsewhere, all of it or nothing, and return it with its id."""
        [added] = self.add_all([view])
        try:
            self.save_ended(added, outcome, series)
        except SQLAlchemyError:
            self.delete(added.id)
            raise
        return added

    def save_trace(self, id: int, packed: bytes) -> None:
        """Store the packed recording of a traced run. Raises OSError."""
        if self._traces:
            self._traces.save(id, packed)

    def find(self, run_filter: RunFilter, limit: int, offset: int = 0) -> tuple[list[RunView], int]:
        """Return a page of the runs that match the filter, and the number of all that match."""
        conditions = run_filter.conditions()
        page = select(RunRow.view).where(*conditions).order_by(*run_filter.order())
        with Session(self._engine) as session:
            texts = session.scalars(page.limit(limit).offset(offset)).all()
            total = session.scalar(select(func.count()).select_from(RunRow).where(*conditions)) or 0
        return [self._adapter.validate_json(text) for text in texts], total

    def ids(self, run_filter: RunFilter) -> list[int]:
        """Return the ids of all runs that match the filter, in its order."""
        ids = select(RunRow.id).where(*run_filter.conditions()).order_by(*run_filter.order())
        with Session(self._engine) as session:
            return list(session.scalars(ids))

    def get_many(self, ids: Sequence[int]) -> list[RunView]:
        """Return the runs with these ids, in their order; missing ones are left out."""
        with Session(self._engine) as session:
            found = {
                id: view
                for id, view in session.execute(select(RunRow.id, RunRow.view).where(RunRow.id.in_(ids)))
            }
        return [self._adapter.validate_json(found[id]) for id in ids if id in found]

    def filter_choices(self) -> dict[str, list[str]]:
        """Return the values that occur, by filter: model, scenario and verdict."""
        columns = {"model": RunRow.model, "scenario": RunRow.scenario, "verdict": RunRow.verdict}
        with Session(self._engine) as session:
            return {
                name: sorted(filter(None, session.scalars(select(column).distinct())))
                for name, column in columns.items()
            }

    def outcome(self, id: int) -> dict[str, Any] | None:
        """Return the outcome of a run as the load generator reported it; None if there is none."""
        return self._json(id, RunRow.outcome)

    def series(self, id: int) -> dict[str, Any] | None:
        """Return the time series of a run; None if there is none."""
        return self._json(id, RunRow.series)

    def trace(self, id: int) -> bytes | None:
        """Return the packed recording of a run; None if it was not traced."""
        view = self.get(id)
        return self._traces.load(id) if self._traces and view and view.plan.get("trace") else None

    def delete(self, id: int) -> bool:
        """Delete a run with its trace and imported results. Returns whether it existed."""
        if self._traces:
            self._traces.delete(id)
        existed = super().delete(id)
        self.imported.delete(id)
        return existed
