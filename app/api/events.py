"""The event log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.api.router import api_router
from app.events import EventView
from app.web.deps import LabDep

router = api_router("events")


@router.get("/events")
async def events(lab: LabDep, since: Annotated[int, Query(ge=0, le=2**53)] = 0) -> list[EventView]:
    """Events after number `since`, oldest first.

    The log has the last 500 state changes of engines and runs, and the last 200 stderr lines of engines (at
    most 10 per engine and second, with the number of lines that were omitted).
    """
    return lab.events.since(since)
