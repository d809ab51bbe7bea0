"""What happened, in order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import LabDep
from app.lab.events import EventView

router = APIRouter(tags=["events"])


@router.get("/events")
async def events(lab: LabDep, since: Annotated[int, Query(ge=0, le=2**53)] = 0) -> list[EventView]:
    """The last 500 events, oldest first, or those of them with a higher `id` than `since`: engines and runs as they
    changed, and what engines said on stderr (at most 10 lines a second each, and how many more there were)."""
    return lab.events.since(since)
