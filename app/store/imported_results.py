"""What other load tools have said of an engine, kept beside a run of ours."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from app.schemas.imported_result import ImportedFigures, ImportedResult, StoredImport
from app.store.schema import ImportedResultRow

_FIGURES = TypeAdapter(ImportedFigures)


class ImportedResultStore:
    """Safe from any thread: each call is a session of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, run: int, result: ImportedResult, created_at: str) -> StoredImport:
        figures = _FIGURES.dump_json(result.figures).decode()
        with Session(self._engine) as session, session.begin():
            row = ImportedResultRow(
                run=run, tool=result.tool, created_at=created_at, figures=figures, raw=result.raw
            )
            session.add(row)
            session.flush()
            return StoredImport(row.id, run, created_at, result.figures)

    def of(self, run: int) -> list[StoredImport]:
        """Those beside a run, oldest first."""
        beside = select(ImportedResultRow).where(ImportedResultRow.run == run).order_by(ImportedResultRow.id)
        with Session(self._engine) as session:
            return [
                StoredImport(row.id, row.run, row.created_at, _FIGURES.validate_json(row.figures))
                for row in session.scalars(beside)
            ]

    def count(self, run: int) -> int:
        with Session(self._engine) as session:
            return (
                session.scalar(
                    select(func.count()).select_from(ImportedResultRow).where(ImportedResultRow.run == run)
                )
                or 0
            )

    def delete(self, run: int, id: int | None = None) -> bool:
        """One of a run's, or all; answers whether there was any."""
        chosen = delete(ImportedResultRow).where(ImportedResultRow.run == run)
        if id is not None:
            chosen = chosen.where(ImportedResultRow.id == id)
        with Session(self._engine) as session, session.begin():
            gone = session.scalars(chosen.returning(ImportedResultRow.id)).all()
        return bool(gone)
