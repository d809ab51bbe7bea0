"""Views stored as JSON, one row each: what the stores of runs, comparisons and so on have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import URL, func, select, update
from sqlalchemy.orm import Session

from app.schemas.comparison import ComparisonView
from app.schemas.experiment import ExperimentView
from app.schemas.run import RunView
from app.schemas.states import JobState, RunState
from app.schemas.tuning import TuningView
from app.store.database import open_database
from app.store.owner import THIS_PROCESS, orphaned_views, other_live_owner
from app.store.schema import ComparisonRow, ExperimentRow, RunRow, TuningRow
from app.timestamps import rfc3339_now

V = TypeVar("V", RunView, ComparisonView, ExperimentView, TuningView)


class ViewStore(Generic[V]):
    """Views by id. Thread-safe: each call has its own session. Methods raise SQLAlchemyError."""

    def __init__(
        self,
        url: str | URL,
        kind: type[V],
        row: type[RunRow] | type[ComparisonRow] | type[ExperimentRow] | type[TuningRow],
        states: type[RunState] | type[JobState],
        columns: Callable[[V], Mapping[str, Any]],
    ) -> None:
        """`row`: the table; `columns`: the values of its other columns."""
        self._engine = open_database(url)
        self._adapter: TypeAdapter[V] = TypeAdapter(kind)
        self._row = row
        self._columns: Callable[[V], Mapping[str, Any]] = columns
        self._unfinished = tuple(state for state in states if state.is_unfinished)
        self._failed = states("failed")

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    def add_all(self, views: Sequence[V]) -> list[V]:
        """Store new views, all of them or none, and return them with their ids."""
        numbered = []
        with Session(self._engine) as session, session.begin():
            for view in views:
                row = self._row(view="{}", owner=THIS_PROCESS, **self._columns(view))
                session.add(row)
                session.flush()
                numbered.append(replace(view, id=row.id))
                row.view = self._adapter.dump_json(numbered[-1]).decode()
        return numbered

    def save(self, view: V, **columns: str | None) -> None:
        """Store a changed view, and the values of further columns with it, all of it or nothing."""
        values = {"view": self._adapter.dump_json(view).decode(), **self._columns(view), **columns}
        with Session(self._engine) as session, session.begin():
            session.execute(update(self._row).where(self._row.id == view.id).values(**values))

    def get(self, id: int) -> V | None:
        """Return a view; None if there is none with this id."""
        with Session(self._engine) as session:
            text = session.scalar(select(self._row.view).where(self._row.id == id))
        return None if text is None else self._adapter.validate_json(text)

    def newest(self, limit: int = 100, offset: int = 0) -> list[V]:
        """Return a page of the views, newest first."""
        newest = select(self._row.view).order_by(self._row.id.desc()).limit(limit).offset(offset)
        with Session(self._engine) as session:
            texts = session.scalars(newest).all()
        return [self._adapter.validate_json(text) for text in texts]

    def count(self) -> int:
        """Return the number of views."""
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(self._row)) or 0

    def delete(self, id: int) -> bool:
        """Delete a view. Returns whether it existed."""
        with Session(self._engine) as session, session.begin():
            row = session.get(self._row, id)
            if row is not None:
                session.delete(row)
        return row is not None

    def owner(self, id: int) -> int | None:
        """Return the pid of another live process that carries this job out; None if there is none."""
        return other_live_owner(self._engine, self._row, id, self._unfinished)

    def fail_unfinished(self, reason: str, include_own: bool) -> None:
        """Mark the unfinished jobs of ended control planes as failed.

        reason: a sentence. include_own: also those of this process, which is about to end.
        """
        for text in orphaned_views(self._engine, self._row, self._unfinished, include_own):
            view = self._adapter.validate_json(text)
            ended: dict[str, Any] = {"state": self._failed, "failure": reason, "finished_at": rfc3339_now()}
            if isinstance(view, ComparisonView | ExperimentView | TuningView):
                ended["current"] = None
            self.save(replace(view, **ended))

    def _json(self, id: int, column: Any) -> dict[str, Any] | None:
        with Session(self._engine) as session:
            text = session.scalar(select(column).where(self._row.id == id))
        value: dict[str, Any] | None = json.loads(text) if text else None
        return value
