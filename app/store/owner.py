"""The owner of a row: the control plane that executes an unfinished run or comparison.

A row stores its owner as boot, process id and start time, so that a reused process id is recognised.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from app.store.schema import ComparisonRow, ExperimentRow, RunRow, TuningRow

JobTable = type[RunRow] | type[ComparisonRow] | type[ExperimentRow] | type[TuningRow]


def _identity(pid: int) -> str:
    """Return the boot id, process id and start time (ticks since boot) of a process. Raises OSError."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    return f"{boot}-{pid}-{Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[19]}"


def _pid(owner: str) -> int:
    return int(owner.split("-")[1])


THIS_PROCESS = _identity(os.getpid())


def has_ended(owner: str) -> bool:
    """Return whether the control plane that wrote `owner` has ended."""
    try:
        return _identity(_pid(owner)) != owner
    except (OSError, ValueError, IndexError):
        return True


def other_live_owner(
    engine: Engine,
    table: JobTable,
    id: int,
    states: Sequence[str],
) -> int | None:
    """Return the pid of another live process that owns this row, if the row is in one of `states`."""
    with Session(engine) as session:
        owner = session.scalar(select(table.owner).where(table.id == id, table.state.in_(states)))
    return None if owner is None or owner == THIS_PROCESS or has_ended(owner) else _pid(owner)


def orphaned_views(
    engine: Engine,
    table: JobTable,
    states: Sequence[str],
    include_own: bool,
) -> list[str]:
    """Return the JSON views of rows in one of `states` whose owner has ended.

    include_own: also those of this process, which is about to end.
    """
    with Session(engine) as session:
        unfinished = select(table.view, table.owner).where(table.state.in_(states))
        return [
            row.view
            for row in session.execute(unfinished)
            if (include_own and row.owner == THIS_PROCESS) or has_ended(row.owner)
        ]
