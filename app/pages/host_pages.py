"""The page of the hosts that share the work of the lab."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.addresses import is_loopback
from app.pages.responses import page
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)


@router.get("/hosts")
async def hosts(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of this machine and the hosts of the cluster. It refreshes itself by htmx."""
    pool, engine_host = lab.hosts, lab.settings.engine_host
    return page(
        request,
        "pages/hosts.html",
        hosts=pool.discover(),
        cluster=pool.cluster,
        problem=pool.problem,
        exposed=None if is_loopback(engine_host) else engine_host,
    )
