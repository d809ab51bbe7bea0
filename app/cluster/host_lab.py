"""The lab of a host, which carries out rounds for others: it starts engine and load generator there.

Its history is in a temporary directory, which nobody reads: the lab that asked keeps the results.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.settings import Settings

POLL_S = 0.2
# Settings of the operator's own lab on this host do not apply, except its servers and interpreter.
OWN: dict[str, Any] = {
    "host": "127.0.0.1",
    "token": "",
    "token_file": None,
    "database_url": "",
    "cluster": "",
    "engine_host": "127.0.0.1",
    "engine_ports": "",
    "models": None,
}
_VIEW = TypeAdapter(RunView)


class Unwanted(Exception):
    """Nobody waits for the result any more."""


@contextlib.asynccontextmanager
async def host_lab(limits: Mapping[str, Any]) -> Any:
    """Open a lab for one round. `limits`: the settings that bound plans in the lab that asks."""
    with tempfile.TemporaryDirectory(prefix="threadlab-round-", ignore_cleanup_errors=True) as folder:
        settings = Settings(data_dir=Path(folder), **OWN, **limits)
        async with Lab.open(settings) as lab:
            yield lab


async def run_all(
    lab: Lab,
    requests: Sequence[Mapping[str, Any]],
    is_wanted: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Carry out runs one after the other, and return them with outcome and series as JSON data.

    `on_progress`: called several times per second with the number of runs that have ended. Raises LabError if
    a run is refused, and Unwanted if `is_wanted` is no longer true.
    """
    found: list[dict[str, Any]] = []
    for request in requests:
        view = await lab.runs.submit(RunRequest(**request))
        ended = asyncio.create_task(lab.runs.finished(view.id))
        while not ended.done():
            on_progress(len(found))
            if not is_wanted():
                lab.runs.stop(view.id)
                await ended
                raise Unwanted("nobody waits for the result any more.")
            await asyncio.wait([ended], timeout=POLL_S)
        found.append(await asyncio.to_thread(_as_json, lab, ended.result()))
    return found


def _as_json(lab: Lab, view: RunView) -> dict[str, Any]:
    return {
        "view": _VIEW.dump_python(view, mode="json"),
        "outcome": lab.store.outcome(view.id),
        "series": lab.store.series(view.id) or {"columns": [], "rows": []},
    }
