"""Brings a database of any earlier version to the current schema when it is opened.

    no tables                   created with the current schema
    tables without a revision   written by version 0.1.0: marked as revision 0001, then as below
    current revision            nothing to do; Alembic is not imported, which saves 0.1 s at start
    older revision              the missing migrations are run by Alembic
    unknown revision            written by a newer version: raises NewerHistory

Everything happens in one transaction that holds the write lock from the start: a second process waits and
then finds the database migrated, and a failed migration leaves the file unchanged.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select
from sqlalchemy.engine import Connection, Engine

from app.errors import LabError
from app.store.schema import Base

MIGRATIONS = Path(__file__).with_name("migrations")
BEFORE_ALEMBIC = "0001"
LOCK_TIMEOUT_MS = 60_000  # for another process that is migrating a large history

_VERSION_TABLE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_logger = logging.getLogger("app.store")


class NewerHistory(LabError):
    """The database has a revision that this version does not know."""

    status, title, slug = 409, "The history was written by a newer version", "newer-history"


def revisions(folder: Path = MIGRATIONS) -> list[str]:
    """Return the revisions of all migrations, oldest first."""
    return sorted(path.name[1:5] for path in (folder / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py"))


def upgrade_database(engine: Engine, folder: Path = MIGRATIONS) -> None:
    """Bring the database to the newest schema. Raises NewerHistory, and any error of a migration."""
    known = revisions(folder)
    with engine.connect() as connection:
        if _read_revision(connection) == known[-1]:
            return
    with engine.connect() as connection:
        _lock(connection)
        revision = _read_revision(connection)  # another process may have migrated it meanwhile
        if revision is None and not inspect(connection).has_table("runs"):
            Base.metadata.create_all(connection)
            _write_revision(connection, known[-1])
        elif revision != known[-1]:
            if revision is not None and revision not in known:
                raise NewerHistory(
                    f"The history {engine.url.database} was written by a newer version of the lab "
                    f"(schema {revision}; this version supports up to {known[-1]}). "
                    "Use that version or another --data-dir."
                )
            if revision is None:
                _write_revision(connection, BEFORE_ALEMBIC)
            run_migrations(connection, folder)
            _logger.info("The history %s now has schema %s", engine.url.database, known[-1])
        connection.commit()


def run_migrations(connection: Connection, folder: Path = MIGRATIONS) -> None:
    """Run all migrations that the database lacks, in the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout={LOCK_TIMEOUT_MS}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE.name):
        return None
    return connection.scalar(select(_VERSION_TABLE.c.version_num))


def _write_revision(connection: Connection, revision: str) -> None:
    _VERSION_TABLE.create(connection, checkfirst=True)
    connection.execute(insert(_VERSION_TABLE).values(version_num=revision))
