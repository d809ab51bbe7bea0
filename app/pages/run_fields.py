"""Form fields that identify a run or its target."""

from __future__ import annotations

from app.lab import Lab
from app.runs.queue import ID_MAX
from app.runs.runs import CONCURRENT_MAX
from app.schemas.model import ModelView
from app.schemas.server import ServerView

CONCURRENT_PREFIX = "engines:"  # prefix of a target of several engines, loaded in parallel
NEW_PREFIX = "model:"  # prefix of a target that is a model: an engine is started for the run


def parse_run_id(text: str) -> int | None:
    """Return the id of a run; None if the text is not one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) else None


def targets(lab: Lab) -> list[tuple[str, str]]:
    """Return value and label of each target: running engines, newest first, all in parallel, new engines."""
    ready = [e.view() for e in reversed(lab.fleet.engines.values()) if e.state.is_serving]
    ids = [e.id for e in reversed(ready)][:CONCURRENT_MAX]
    in_parallel = (
        [(CONCURRENT_PREFIX + ",".join(ids), f"All {len(ids)} running engines in parallel (live view only)")]
        if len(ids) > 1
        else []
    )
    views: list[ModelView | ServerView] = [*lab.models.views.values(), *lab.servers.views()]
    new = [(NEW_PREFIX + each.name, f"New {each.title} engine") for each in views if each.available]
    return [(e.id, f"{e.id} (running on :{e.port})") for e in ready] + in_parallel + new
