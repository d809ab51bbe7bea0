"""Results of other load tools, imported for a run."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from app.schemas.imported_result import ImportedFigures, ImportedResult, StoredImport
from app.store.schema import ImportedResultRow

_FIGURES = TypeAdapter(ImportedFigures)


class ImportedResultStore:
    """Imported results by run.

    Thread-safe: each call has its own session. Methods raise SQLAlchemyError.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, run: int, result: ImportedResult, created_at: str) -> StoredImport:
        """Store a result for a run and return it with its id. `created_at`: RFC 3339."""
        figures = _FIGURES.dump_json(result.figures).decode()
        with Session(self._engine) as session, session.begin():
            row = ImportedResultRow(
                run=run, tool=result.tool, created_at=created_at, figures=figures, raw=result.raw
            )
            session.add(row)
            session.flush()
            return StoredImport(row.id, run, created_at, result.figures)

    def of(self, run: int) -> list[StoredImport]:
        """Return the results of a run, oldest first."""
        rows = select(ImportedResultRow).where(ImportedResultRow.run == run).order_by(ImportedResultRow.id)
        with Session(self._engine) as session:
            return [
                StoredImport(row.id, row.run, row.created_at, _FIGURES.validate_json(row.figures))
                for row in session.scalars(rows)
            ]

    def count(self, run: int) -> int:
        """Return the number of results of a run."""
        count = select(func.count()).select_from(ImportedResultRow).where(ImportedResultRow.run == run)
        with Session(self._engine) as session:
            return session.scalar(count) or 0

    def delete(self, run: int, id: int | None = None) -> bool:
        """Delete one result of a run, or all with None. Returns whether there was any."""
        chosen = delete(ImportedResultRow).where(ImportedResultRow.run == run)
        if id is not None:
            chosen = chosen.where(ImportedResultRow.id == id)
        with Session(self._engine) as session, session.begin():
            deleted = session.scalars(chosen.returning(ImportedResultRow.id)).all()
        return bool(deleted)
