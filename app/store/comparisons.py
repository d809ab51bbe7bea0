"""The history of comparisons. Synchronous and short, like that of runs; kept as the JSON of its view."""

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
from app.store.runs import OURS, is_gone, other_owner
from app.store.schema import ComparisonRow
from app.timestamps import rfc3339_now

UNFINISHED = tuple(state for state in ComparisonState if state.is_unfinished)
_VIEW = TypeAdapter(ComparisonView)


class ComparisonStore:
    """Safe from any thread: each call is a session of its own."""

    def __init__(self, url: str | URL) -> None:
        self._engine = open_database(url)

    def close(self) -> None:
        self._engine.dispose()

    def add_all(self, views: Sequence[ComparisonView]) -> list[ComparisonView]:
        """Save new comparisons, all or none, and return them with their ids."""
        numbered = []
        with Session(self._engine) as session, session.begin():
            for view in views:
                row = ComparisonRow(state=view.state, created_at=view.created_at, view="{}", owner=OURS)
                session.add(row)
                session.flush()
                numbered.append(replace(view, id=row.id))
                row.view = _VIEW.dump_json(numbered[-1]).decode()
        return numbered

    def save(self, view: ComparisonView, curves: dict[str, Any] | None = None) -> None:
        """Keep it as it is now; curves only where there are new ones."""
        values = {"state": view.state, "view": _VIEW.dump_json(view).decode()}
        if curves is not None:
            values["curves"] = json.dumps(curves)
        with Session(self._engine) as session, session.begin():
            session.execute(update(ComparisonRow).where(ComparisonRow.id == view.id).values(**values))

    def get(self, id: int) -> ComparisonView | None:
        with Session(self._engine) as session:
            text = session.scalar(select(ComparisonRow.view).where(ComparisonRow.id == id))
        return None if text is None else _VIEW.validate_json(text)

    def newest(self, limit: int = 100, offset: int = 0) -> list[ComparisonView]:
        with Session(self._engine) as session:
            newest = select(ComparisonRow.view).order_by(ComparisonRow.id.desc()).limit(limit).offset(offset)
            texts = session.scalars(newest).all()
        return [_VIEW.validate_json(text) for text in texts]

    def count(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(ComparisonRow)) or 0

    def curves(self, id: int) -> dict[str, Any] | None:
        with Session(self._engine) as session:
            text = session.scalar(select(ComparisonRow.curves).where(ComparisonRow.id == id))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def delete(self, id: int) -> None:
        with Session(self._engine) as session, session.begin():
            if row := session.get(ComparisonRow, id):
                session.delete(row)

    def owner(self, id: int) -> int | None:
        """The process that carries an unfinished comparison out, if that is another one than ours and it lives."""
        return other_owner(self._engine, ComparisonRow, id, UNFINISHED)

    def fail_unfinished(self, reason: str, ours: bool) -> None:
        """Mark what control planes that ended have left behind, with the trials that had ended; as for runs."""
        with Session(self._engine) as session:
            unfinished = select(ComparisonRow.view, ComparisonRow.owner).where(
                ComparisonRow.state.in_(UNFINISHED)
            )
            left = [
                row.view
                for row in session.execute(unfinished)
                if (ours and row.owner == OURS) or is_gone(row.owner)
            ]
        for text in left:
            view = replace(
                _VIEW.validate_json(text),
                state=ComparisonState.FAILED,
                failure=reason,
                current=None,
                finished_at=rfc3339_now(),
            )
            self.save(view)
