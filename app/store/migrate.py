"""A history of any age is brought to this version's schema when it is opened, or refused in one sentence.

    no tables at all     made as they are today, and stamped
    tables, no stamp     version 0.1.0 made it with `create_all`: stamped as 0001, then as below
    stamp of today       nothing to do, and Alembic is not even imported (0.1 s of a start)
    older stamp          the steps from there on, by Alembic
    any other stamp      a newer version wrote it: `NewerHistory`

All in one transaction that holds the write lock from its first word: a second process waits and then finds it done,
and a step that fails leaves the file as it was.
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
LOCK_WAIT_MS = 60_000  # for another process that is at it: a long history takes its time

_STAMP = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_LOG = logging.getLogger("app.store")


class NewerHistory(LabError):
    """The history is of a version that this one does not know."""

    status, title, slug = 409, "The history is of a newer version", "newer-history"


def revisions(folder: Path = MIGRATIONS) -> list[str]:
    """The number of every step, oldest first."""
    return sorted(path.name[1:5] for path in (folder / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py"))


def bring_up_to_date(engine: Engine, folder: Path = MIGRATIONS) -> None:
    """Bring the database to the newest schema; raises NewerHistory, and whatever a step raises."""
    known = revisions(folder)
    with engine.connect() as connection:
        if _stamp(connection) == known[-1]:
            return
    with engine.connect() as connection:
        _lock(connection)
        stamp = _stamp(connection)  # again: another process may have been here first
        if stamp is None and not inspect(connection).has_table("runs"):
            Base.metadata.create_all(connection)
            _set_stamp(connection, known[-1])
        elif stamp != known[-1]:
            if stamp is not None and stamp not in known:
                raise NewerHistory(
                    f"The history {engine.url.database} was written by a newer version of the lab (schema {stamp}; "
                    f"this one knows up to {known[-1]}). Use that version, or another --data-dir."
                )
            if stamp is None:
                _set_stamp(connection, BEFORE_ALEMBIC)
            upgrade(connection, folder)
            _LOG.info("The history %s now has schema %s", engine.url.database, known[-1])
        connection.commit()


def upgrade(connection: Connection, folder: Path = MIGRATIONS) -> None:
    """Make every step that the stamp of the database lacks, in the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout={LOCK_WAIT_MS}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _stamp(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_STAMP.name):
        return None
    return connection.scalar(select(_STAMP.c.version_num))


def _set_stamp(connection: Connection, revision: str) -> None:
    _STAMP.create(connection, checkfirst=True)
    connection.execute(insert(_STAMP).values(version_num=revision))
