"""What other load tools have said of an engine, kept beside a run of ours."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from app.report.foreign import Figures, ForeignResult
from app.store.schema import ForeignRow

_FIGURES = TypeAdapter(Figures)


@dataclass(frozen=True, slots=True)
class KeptForeign:
    """One of them, as it was read on the day."""

    id: int
    run: int
    created_at: str
    figures: Figures


class ForeignStore:
    """Safe from any thread: each call is a session of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, run: int, result: ForeignResult, created_at: str) -> KeptForeign:
        figures = _FIGURES.dump_json(result.figures).decode()
        with Session(self._engine) as session, session.begin():
            row = ForeignRow(
                run=run, tool=result.tool, created_at=created_at, figures=figures, raw=result.raw
            )
            session.add(row)
            session.flush()
            return KeptForeign(row.id, run, created_at, result.figures)

    def of(self, run: int) -> list[KeptForeign]:
        """Those beside a run, oldest first."""
        beside = select(ForeignRow).where(ForeignRow.run == run).order_by(ForeignRow.id)
        with Session(self._engine) as session:
            return [
                KeptForeign(row.id, row.run, row.created_at, _FIGURES.validate_json(row.figures))
                for row in session.scalars(beside)
            ]

    def count(self, run: int) -> int:
        with Session(self._engine) as session:
            return (
                session.scalar(select(func.count()).select_from(ForeignRow).where(ForeignRow.run == run)) or 0
            )

    def delete(self, run: int, id: int | None = None) -> bool:
        """One of a run's, or all; answers whether there was any."""
        chosen = delete(ForeignRow).where(ForeignRow.run == run)
        if id is not None:
            chosen = chosen.where(ForeignRow.id == id)
        with Session(self._engine) as session, session.begin():
            gone = session.scalars(chosen.returning(ForeignRow.id)).all()
        return bool(gone)
