"""The history of runs. Synchronous and short; the lab calls it from a thread where it writes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import URL, Engine, func, select, update
from sqlalchemy.orm import Session

from app.schemas.run import RunView
from app.schemas.states import RunState
from app.store.columns import columns
from app.store.database import open_database
from app.store.imported_results import ImportedResultStore
from app.store.listing import RunFilter
from app.store.schema import ComparisonRow, RunRow
from app.store.traces import TraceStore
from app.timestamps import rfc3339_now

UNFINISHED = tuple(state for state in RunState if state.is_unfinished)
_VIEW = TypeAdapter(RunView)


class RunStore:
    """Safe from any thread: each call is a session of its own."""

    def __init__(self, url: str | URL, traces: Path | None = None) -> None:
        """`traces`: the folder in which recordings are kept, a file each; without one they are not."""
        self._engine = open_database(url)
        self._traces = TraceStore(traces) if traces else None
        self.foreign = ImportedResultStore(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def add(self, view: RunView) -> RunView:
        """Keep a new run; answers it with its number."""
        return self.add_all([view])[0]

    def add_all(self, views: Sequence[RunView]) -> list[RunView]:
        """Keep new runs, all of them or none; answers them with their numbers."""
        numbered = []
        with Session(self._engine) as session, session.begin():
            for view in views:
                row = RunRow(view="{}", owner=OURS, **columns(view))
                session.add(row)
                session.flush()
                numbered.append(replace(view, id=row.id))
                row.view = _VIEW.dump_json(numbered[-1]).decode()
        return numbered

    def save(self, view: RunView) -> None:
        with Session(self._engine) as session, session.begin():
            values = {"view": _VIEW.dump_json(view).decode(), **columns(view)}
            session.execute(update(RunRow).where(RunRow.id == view.id).values(**values))

    def save_ended(self, view: RunView, outcome: dict[str, Any] | None, series: dict[str, Any]) -> None:
        """Keep a run with what it came to, all of it or nothing."""
        with Session(self._engine) as session, session.begin():
            values = {"view": _VIEW.dump_json(view).decode(), **columns(view)}
            values |= {"outcome": json.dumps(outcome) if outcome else None, "series": json.dumps(series)}
            session.execute(update(RunRow).where(RunRow.id == view.id).values(**values))

    def save_trace(self, id: int, packed: bytes) -> None:
        """Keep the packed recording of a traced run. Raises OSError."""
        if self._traces:
            self._traces.save(id, packed)

    def get(self, id: int) -> RunView | None:
        with Session(self._engine) as session:
            text = session.scalar(select(RunRow.view).where(RunRow.id == id))
        return None if text is None else _VIEW.validate_json(text)

    def find(self, which: RunFilter, limit: int, offset: int = 0) -> tuple[list[RunView], int]:
        """A page of the runs that a filter leaves, and how many it leaves in all."""
        conditions = which.conditions()
        wanted = select(RunRow.view).where(*conditions).order_by(*which.order()).limit(limit).offset(offset)
        with Session(self._engine) as session:
            texts = session.scalars(wanted).all()
            total = session.scalar(select(func.count()).select_from(RunRow).where(*conditions)) or 0
        return [_VIEW.validate_json(text) for text in texts], total

    def ids(self, which: RunFilter) -> list[int]:
        """The numbers of all runs that a filter leaves, in its order."""
        with Session(self._engine) as session:
            return list(
                session.scalars(select(RunRow.id).where(*which.conditions()).order_by(*which.order()))
            )

    def some(self, ids: Sequence[int]) -> list[RunView]:
        """The runs of these numbers, in their order; those that are gone are left out."""
        with Session(self._engine) as session:
            kept = {
                id: view
                for id, view in session.execute(select(RunRow.id, RunRow.view).where(RunRow.id.in_(ids)))
            }
        return [_VIEW.validate_json(kept[id]) for id in ids if id in kept]

    def names(self) -> dict[str, list[str]]:
        """What stands in the columns that are chosen from."""
        columns = {"model": RunRow.model, "scenario": RunRow.scenario, "verdict": RunRow.verdict}
        with Session(self._engine) as session:
            return {
                name: sorted(filter(None, session.scalars(select(column).distinct())))
                for name, column in columns.items()
            }

    def newest(self, limit: int = 100, offset: int = 0) -> list[RunView]:
        with Session(self._engine) as session:
            texts = session.scalars(
                select(RunRow.view).order_by(RunRow.id.desc()).limit(limit).offset(offset)
            ).all()
        return [_VIEW.validate_json(text) for text in texts]

    def count(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(RunRow)) or 0

    def outcome(self, id: int) -> dict[str, Any] | None:
        return self._json(id, RunRow.outcome)

    def series(self, id: int) -> dict[str, Any] | None:
        return self._json(id, RunRow.series)

    def trace(self, id: int) -> bytes | None:
        """Return the packed recording of a run; None if it was not traced."""
        view = self.get(id)
        return self._traces.load(id) if self._traces and view and view.plan.get("trace") else None

    def delete(self, id: int) -> bool:
        if self._traces:
            self._traces.delete(id)
        with Session(self._engine) as session, session.begin():
            row = session.get(RunRow, id)
            if row is not None:
                session.delete(row)
        self.foreign.delete(id)
        return row is not None

    def owner(self, id: int) -> int | None:
        """The process that carries an unfinished run out, if that is another one than ours and it lives."""
        return other_owner(self._engine, RunRow, id, UNFINISHED)

    def fail_unfinished(self, reason: str, ours: bool) -> None:
        """Mark what control planes that ended have left behind; `ours`: we are about to end ourselves."""
        with Session(self._engine) as session:
            unfinished = select(RunRow.view, RunRow.owner).where(RunRow.state.in_(UNFINISHED))
            left = [
                row.view
                for row in session.execute(unfinished)
                if (ours and row.owner == OURS) or is_gone(row.owner)
            ]
        for text in left:
            self.save(
                replace(
                    _VIEW.validate_json(text),
                    state=RunState.FAILED,
                    failure=reason,
                    finished_at=rfc3339_now(),
                )
            )

    def _json(self, id: int, column: Any) -> dict[str, Any] | None:
        with Session(self._engine) as session:
            text = session.scalar(select(column).where(RunRow.id == id))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found


def _identity(pid: int) -> str:
    """A process as nobody else can be: its number, and when it began (ticks since boot) on this boot."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    return f"{boot}-{pid}-{Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[19]}"


def other_owner(
    engine: Engine, kind: type[RunRow] | type[ComparisonRow], id: int, going: Sequence[str]
) -> int | None:
    """The living process, not ours, that is at this row's work."""
    with Session(engine) as session:
        owner = session.scalar(select(kind.owner).where(kind.id == id, kind.state.in_(going)))
    return None if owner is None or owner == OURS or is_gone(owner) else int(owner.split("-")[1])


OURS = _identity(os.getpid())


def is_gone(owner: str) -> bool:
    """Whether the control plane that wrote `owner` has ended."""
    try:
        return _identity(int(owner.split("-")[1])) != owner
    except (OSError, ValueError, IndexError):
        return True
