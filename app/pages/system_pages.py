"""The pages about this machine and about the API."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.pages.responses import page
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)


@router.get("/about")
async def about(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page about this machine, with its warnings."""
    return page(request, "pages/system.html", system=lab.system)


@router.get("/api/docs")
def api_docs(request: Request) -> HTMLResponse:
    """Return the API page, rendered from the OpenAPI description. In a thread: building it takes a while."""
    base = str(request.base_url).rstrip("/") + request.app.state.lab.settings.root_path
    return page(request, "pages/api.html", spec=request.app.openapi(), base=base)
