"""The machine, health checks and metrics."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response

from app.api.router import api_router
from app.metrics import CONTENT_TYPE, Metrics
from app.schemas.system import SystemView
from app.web import problems
from app.web.deps import LabDep

router = api_router("system")
health = APIRouter(tags=["health"], responses=problems.openapi_responses())


@router.get("/system")
async def system(lab: LabDep) -> SystemView:
    """Cores, kernel, limits, CPU placement of engines and load generator, and warnings."""
    return lab.system


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """Liveness: the control plane responds."""
    return {"status": "ok"}


@health.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Metrics of the control plane and its engines in the Prometheus text format."""
    return Response(cast(Metrics, request.app.state.metrics).text(), media_type=CONTENT_TYPE)


@health.get("/readyz")
async def readyz(lab: LabDep) -> dict[str, str]:
    """Readiness: an engine can be started."""
    lab.require_ready()
    return {"status": "ready"}
