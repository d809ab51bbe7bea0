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
    database.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(database.with_name("open.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _careful(connection: Any, _record: Any) -> None:
    """Readers do not block the writer, and a writer waits for another instead of failing."""
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
