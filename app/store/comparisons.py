"""The stored comparisons: each is the JSON of its view. Methods block for a short time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import URL, func, select, update
from sqlalchemy.orm import Session

from app.schemas.comparison import ComparisonView
from app.schemas.states import ComparisonState
from app.store.database import open_database
from app.store.owner import THIS_PROCESS, orphaned_views, other_live_owner
from app.store.schema import ComparisonRow
from app.timestamps import rfc3339_now

UNFINISHED = tuple(state for state in ComparisonState if state.is_unfinished)
_VIEW = TypeAdapter(ComparisonView)


class ComparisonStore:
    """Comparisons by id. Thread-safe: each call is a session of its own. Methods raise SQLAlchemyError."""

    def __init__(self, url: str | URL) -> None:
        self._engine = open_database(url)

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    def add_all(self, views: Sequence[ComparisonView]) -> list[ComparisonView]:
        """Save new comparisons, all or none, and return them with their ids."""
        numbered = []
        with Session(self._engine) as session, session.begin():
            for view in views:
                row = ComparisonRow(
                    state=view.state, created_at=view.created_at, view="{}", owner=THIS_PROCESS
                )
                session.add(row)
                session.flush()
                numbered.append(replace(view, id=row.id))
                row.view = _VIEW.dump_json(numbered[-1]).decode()
        return numbered

    def save(self, view: ComparisonView, curves: dict[str, Any] | None = None) -> None:
        """Store a changed comparison. `curves`: new latency curves by entry; None leaves the stored ones."""
        values = {"state": view.state, "view": _VIEW.dump_json(view).decode()}
        if curves is not None:
            values["curves"] = json.dumps(curves)
        with Session(self._engine) as session, session.begin():
            session.execute(update(ComparisonRow).where(ComparisonRow.id == view.id).values(**values))

    def get(self, id: int) -> ComparisonView | None:
        """Return a comparison; None if there is none with this id."""
        with Session(self._engine) as session:
            text = session.scalar(select(ComparisonRow.view).where(ComparisonRow.id == id))
        return None if text is None else _VIEW.validate_json(text)

    def newest(self, limit: int = 100, offset: int = 0) -> list[ComparisonView]:
        """Return a page of the comparisons, newest first."""
        with Session(self._engine) as session:
            newest = select(ComparisonRow.view).order_by(ComparisonRow.id.desc()).limit(limit).offset(offset)
            texts = session.scalars(newest).all()
        return [_VIEW.validate_json(text) for text in texts]

    def count(self) -> int:
        """Return the number of comparisons."""
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(ComparisonRow)) or 0

    def curves(self, id: int) -> dict[str, Any] | None:
        """Return the latency curves of a comparison by entry; None if there are none."""
        with Session(self._engine) as session:
            text = session.scalar(select(ComparisonRow.curves).where(ComparisonRow.id == id))
        curves: dict[str, Any] | None = json.loads(text) if text else None
        return curves

    def delete(self, id: int) -> None:
        """Delete a comparison if it exists; its runs remain."""
        with Session(self._engine) as session, session.begin():
            if row := session.get(ComparisonRow, id):
                session.delete(row)

    def owner(self, id: int) -> int | None:
        """Return the pid of another live process that executes this comparison; None if there is none."""
        return other_live_owner(self._engine, ComparisonRow, id, UNFINISHED)

    def fail_unfinished(self, reason: str, include_own: bool) -> None:
        """Mark unfinished comparisons of ended control planes as failed; their finished trials are kept.

        reason: a sentence. include_own: also those of this process, which is about to end.
        """
        for text in orphaned_views(self._engine, ComparisonRow, UNFINISHED, include_own):
            view = replace(
                _VIEW.validate_json(text),
                state=ComparisonState.FAILED,
                failure=reason,
                current=None,
                finished_at=rfc3339_now(),
            )
            self.save(view)
