"""Opens the database that all stores share, and brings it to the current schema."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, SQLAlchemyError

from app.errors import LabError
from app.store import private_files
from app.store.migrate import upgrade_database

SAVE_ERRORS = (OSError, SQLAlchemyError)  # a full disk, a locked database, a missing folder


def error_reason(error: OSError | SQLAlchemyError) -> str:
    """Return the reason of a database or file error in words, without the SQL statement."""
    if isinstance(error, DBAPIError):
        return str(error.orig)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def open_database(where: str | URL) -> Engine:
    """Open or create the database at this URL. Raises LabError if that fails."""
    url = make_url(where)
    database = url.database
    engine = create_engine(url)
    try:
        if url.get_backend_name() == "sqlite" and database:
            event.listen(engine, "connect", _configure_sqlite)
            with _exclusive_open(Path(database)):
                upgrade_database(engine)
        else:
            upgrade_database(engine)
    except (DatabaseError, OSError) as error:
        engine.dispose()
        raise LabError(f"The history {database or url} cannot be opened: {error_reason(error)}.") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def _exclusive_open(database: Path) -> Iterator[None]:
    """Let one process at a time open the database, in a `with` block.

    SQLite does not wait for another process that is switching the file to WAL.
    """
    private_files.make_folder(database.parent)
    lock = database.with_name("open.lock")
    private_files.restrict_to_owner(lock)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private_files.FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _make_private(database)
        yield
    finally:
        os.close(fd)


def _make_private(database: Path) -> None:
    """Create the database file for its owner only; SQLite gives its -wal and -shm files the same mode."""
    if database.name == ":memory:" or str(database).startswith("file:"):
        return  # not a path
    private_files.make_file(database)
    for suffix in ("-wal", "-shm", "-journal"):
        private_files.restrict_to_owner(database.with_name(database.name + suffix))


def _configure_sqlite(connection: Any, _record: Any) -> None:
    """Readers do not block the writer, and a writer waits for another one instead of failing."""
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
