"""What happened, in order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.events import EventView
from app.web.deps import LabDep

router = APIRouter(tags=["events"])


@router.get("/events")
async def events(lab: LabDep, since: Annotated[int, Query(ge=0, le=2**53)] = 0) -> list[EventView]:
    """What happened after event number `since`, oldest first: the last 500 changes of engines and runs, and the last
    200 lines that engines said on stderr (of each at most 10 a second, and how many more there were)."""
    return lab.events.since(since)
