"""Engines: start, sample, stop."""

from __future__ import annotations

from fastapi import Response

from app.api.router import api_router
from app.api.specs import EngineSpec
from app.errors import Invalid
from app.schemas.engine import EngineView, SampleView
from app.schemas.process import ProcessesView
from app.web.deps import LabDep

router = api_router("engines")


@router.post(
    "/engines",
    status_code=201,
    responses={202: {"model": EngineView, "description": "The engine is starting."}},
)
async def start(spec: EngineSpec, lab: LabDep, response: Response, wait: bool = True) -> EngineView:
    """Start an engine of a model or an external server.

    Returns when it is ready, or at once with `wait=false` (202).
    """
    if bool(spec.model) == bool(spec.server):
        raise Invalid.field("/model", "Give either model or server.")
    if spec.server:
        lab.servers.definition(spec.server)
    else:
        lab.models.get(spec.model)
    view = await lab.fleet.start(spec.server or spec.model, spec.knobs, spec.port, spec.cpus, wait)
    response.status_code = 201 if wait else 202
    response.headers["Location"] = f"/api/v1/engines/{view.id}"
    return view


@router.get("/engines")
async def engines(lab: LabDep) -> list[EngineView]:
    """All engines that are alive, and the last ones that ended."""
    return [engine.view() for engine in lab.fleet.engines.values()]


@router.get("/engines/{id}")
async def engine(id: str, lab: LabDep) -> EngineView:
    """One engine."""
    return lab.fleet.engine(id).view()


@router.delete("/engines/{id}")
async def stop(id: str, lab: LabDep, force: bool = False) -> EngineView:
    """Drain and stop within its grace period, or kill with `force=true`. Returns its final state."""
    return await lab.fleet.stop(id, force)


@router.get("/engines/{id}/sample")
async def sample(id: str, lab: LabDep) -> SampleView:
    """The latest sample: process, connections by state, queue, threads."""
    return lab.fleet.sample(id)


@router.get("/engines/{id}/processes")
async def processes(id: str, lab: LabDep) -> ProcessesView:
    """The processes of an external server: CPU, connections, unread bytes, and how even the workers are."""
    return lab.fleet.processes(id)


@router.get("/engines/{id}/log")
async def log(id: str, lab: LabDep) -> list[str]:
    """The last lines of its stderr."""
    return list(lab.fleet.engine(id).log)
