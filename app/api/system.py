"""This machine, and whether the lab is well."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response

from app.metrics import CONTENT_TYPE, Metrics
from app.schemas.system import SystemView
from app.web.deps import LabDep

router = APIRouter(tags=["system"])
health = APIRouter(tags=["health"])


@router.get("/system")
async def system(lab: LabDep) -> SystemView:
    """Cores, kernel, limits, where engine and generator are placed, and what to know before trusting a number."""
    return lab.system


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """The lab is alive."""
    return {"status": "ok"}


@health.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """The lab and its engines for Prometheus, as text."""
    return Response(cast(Metrics, request.app.state.metrics).text(), media_type=CONTENT_TYPE)


@health.get("/readyz")
async def readyz(lab: LabDep) -> dict[str, str]:
    """The lab can start an engine."""
    lab.require_ready()
    return {"status": "ready"}
