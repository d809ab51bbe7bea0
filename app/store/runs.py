"""The stored runs: the view of each as JSON, its outcome, its series and its trace.

Methods block for a short time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import URL, func, select, update
from sqlalchemy.orm import Session

from app.schemas.run import RunView
from app.schemas.states import RunState
from app.store.columns import column_values
from app.store.database import open_database
from app.store.imported_results import ImportedResultStore
from app.store.listing import RunFilter
from app.store.owner import THIS_PROCESS, orphaned_views, other_live_owner
from app.store.schema import RunRow
from app.store.traces import TraceStore
from app.timestamps import rfc3339_now

UNFINISHED = tuple(state for state in RunState if state.is_unfinished)
_VIEW = TypeAdapter(RunView)


class RunStore:
    """Runs by id. Thread-safe: each call is a session of its own. Methods raise SQLAlchemyError.

    imported: results of other load tools by run.
    """

    def __init__(self, url: str | URL, traces: Path | None = None) -> None:
        """traces: the folder of the trace files; None: traces are not stored."""
        self._engine = open_database(url)
        self._traces = TraceStore(traces) if traces else None
        self.imported = ImportedResultStore(self._engine)

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    def add(self, view: RunView) -> RunView:
        """Store a new run and return it with its id."""
        return self.add_all([view])[0]

    def add_all(self, views: Sequence[RunView]) -> list[RunView]:
        """Store new runs, all of them or none, and return them with their ids."""
        numbered = []
        with Session(self._engine) as session, session.begin():
            for view in views:
                row = RunRow(view="{}", owner=THIS_PROCESS, **column_values(view))
                session.add(row)
                session.flush()
                numbered.append(replace(view, id=row.id))
                row.view = _VIEW.dump_json(numbered[-1]).decode()
        return numbered

    def save(self, view: RunView) -> None:
        """Store a changed run."""
        self._update(view, {})

    def save_ended(self, view: RunView, outcome: dict[str, Any] | None, series: dict[str, Any]) -> None:
        """Store a run that has ended, with the generator's outcome and its series, all of it or nothing."""
        self._update(
            view, {"outcome": json.dumps(outcome) if outcome else None, "series": json.dumps(series)}
        )

    def save_trace(self, id: int, packed: bytes) -> None:
        """Store the packed recording of a traced run. Raises OSError."""
        if self._traces:
            self._traces.save(id, packed)

    def get(self, id: int) -> RunView | None:
        """Return a run; None if there is none with this id."""
        with Session(self._engine) as session:
            text = session.scalar(select(RunRow.view).where(RunRow.id == id))
        return None if text is None else _VIEW.validate_json(text)

    def find(self, run_filter: RunFilter, limit: int, offset: int = 0) -> tuple[list[RunView], int]:
        """Return a page of the runs that match the filter, and the number of all that match."""
        conditions = run_filter.conditions()
        page = select(RunRow.view).where(*conditions).order_by(*run_filter.order())
        with Session(self._engine) as session:
            texts = session.scalars(page.limit(limit).offset(offset)).all()
            total = session.scalar(select(func.count()).select_from(RunRow).where(*conditions)) or 0
        return [_VIEW.validate_json(text) for text in texts], total

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
        return [_VIEW.validate_json(found[id]) for id in ids if id in found]

    def filter_choices(self) -> dict[str, list[str]]:
        """Return the values that occur, by filter: model, scenario and verdict."""
        columns = {"model": RunRow.model, "scenario": RunRow.scenario, "verdict": RunRow.verdict}
        with Session(self._engine) as session:
            return {
                name: sorted(filter(None, session.scalars(select(column).distinct())))
                for name, column in columns.items()
            }

    def newest(self, limit: int = 100, offset: int = 0) -> list[RunView]:
        """Return a page of the runs, newest first."""
        newest = select(RunRow.view).order_by(RunRow.id.desc()).limit(limit).offset(offset)
        with Session(self._engine) as session:
            texts = session.scalars(newest).all()
        return [_VIEW.validate_json(text) for text in texts]

    def count(self) -> int:
        """Return the number of runs."""
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(RunRow)) or 0

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
        with Session(self._engine) as session, session.begin():
            row = session.get(RunRow, id)
            if row is not None:
                session.delete(row)
        self.imported.delete(id)
        return row is not None

    def owner(self, id: int) -> int | None:
        """Return the pid of another live process that executes this run; None if there is none."""
        return other_live_owner(self._engine, RunRow, id, UNFINISHED)

    def fail_unfinished(self, reason: str, include_own: bool) -> None:
        """Mark unfinished runs of ended control planes as failed.

        reason: a sentence. include_own: also those of this process, which is about to end.
        """
        for text in orphaned_views(self._engine, RunRow, UNFINISHED, include_own):
            view = _VIEW.validate_json(text)
            self.save(replace(view, state=RunState.FAILED, failure=reason, finished_at=rfc3339_now()))

    def _update(self, view: RunView, more: dict[str, Any]) -> None:
        values = {"view": _VIEW.dump_json(view).decode(), **column_values(view), **more}
        with Session(self._engine) as session, session.begin():
            session.execute(update(RunRow).where(RunRow.id == view.id).values(**values))

    def _json(self, id: int, column: Any) -> dict[str, Any] | None:
        with Session(self._engine) as session:
            text = session.scalar(select(column).where(RunRow.id == id))
        value: dict[str, Any] | None = json.loads(text) if text else None
        return value
