"""The database that the stores share: opened with care, and of this version's schema."""

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
from app.store import private
from app.store.migrate import bring_up_to_date

NOT_SAVED = (OSError, SQLAlchemyError)  # a full disk, a locked history, a folder that is gone


def why(error: OSError | SQLAlchemyError) -> str:
    """What was in the way of saving, without the statement that SQLAlchemy puts around it."""
    if isinstance(error, DBAPIError):
        return str(error.orig)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def open_database(where: str | URL) -> Engine:
    """Open it, or make it; raises LabError where that cannot be."""
    url = make_url(where)
    database = url.database
    engine = create_engine(url)
    try:
        if url.get_backend_name() == "sqlite" and database:
            event.listen(engine, "connect", _careful)
            with _alone(Path(database)):
                bring_up_to_date(engine)
        else:
            bring_up_to_date(engine)
    except (DatabaseError, OSError) as error:
        engine.dispose()
        raise LabError(f"The history {database or url} cannot be opened: {why(error)}.") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """One process opens at a time: SQLite does not wait for another that is just turning the file to WAL."""
    private.make_folder(database.parent)
    lock = database.with_name("open.lock")
    private.close_to_others(lock)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _keep_private(database)
        yield
    finally:
        os.close(fd)


def _keep_private(database: Path) -> None:
    """SQLite gives its -wal and -shm the mode of the database, so it is made before SQLite would, with ours."""
    if database.name == ":memory:" or str(database).startswith("file:"):
        return  # no path
    private.make_file(database)
    for suffix in ("-wal", "-shm", "-journal"):
        private.close_to_others(database.with_name(database.name + suffix))


def _careful(connection: Any, _record: Any) -> None:
    """Readers do not block the writer, and a writer waits for another instead of failing."""
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
