"""The external servers: descriptions, knobs, and whether each can be started here."""

from __future__ import annotations

import asyncio

from app.api.router import api_router
from app.schemas.server import ServerView
from app.web.deps import LabDep

router = api_router("servers")


@router.get("/servers")
async def servers(lab: LabDep) -> list[ServerView]:
    """All external servers of the catalogue: command, knobs, and whether each is installed here.

    The operator's file names them; a request can only choose one and set its knobs.
    """
    return await asyncio.to_thread(lab.servers.views)


@router.get("/servers/{name}")
async def server(name: str, lab: LabDep) -> ServerView:
    """One external server."""
    return await asyncio.to_thread(lab.servers.view, name)
