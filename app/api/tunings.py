"""Tunings: create, list, read, stop and delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from app.api.router import api_router
from app.api.specs import TuningSpec
from app.errors import Invalid
from app.schemas.tuning import TuningView
from app.tunings.request import TuningRequest
from app.web.deps import LabDep

router = api_router("tunings")


@router.post("/tunings", status_code=201)
async def submit(spec: TuningSpec, lab: LabDep, response: Response) -> TuningView:
    """Queue a tuning; its runs are capacity searches, one at a time. Poll its Location."""
    if bool(spec.model) == bool(spec.server):
        raise Invalid.field("/model", "Give either model or server.")
    if spec.server:
        lab.servers.definition(spec.server)
    request = TuningRequest(
        model=spec.server or spec.model,
        knob=spec.knob,
        objective=spec.objective,
        values=spec.values,
        low=spec.low,
        high=spec.high,
        knobs=spec.knobs,
        scenario=spec.scenario,
        plan=spec.plan.model_dump(exclude_unset=True) if spec.plan else {},
        rounds=spec.rounds,
        seed=spec.seed,
        label=spec.label,
    )
    view = await lab.tunings.submit(request)
    response.headers["Location"] = f"/api/v1/tunings/{view.id}"
    return view


@router.get("/tunings")
async def tunings(
    lab: LabDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> list[TuningView]:
    """All tunings, newest first, with those that are queued or in progress."""
    return await lab.tunings.history(limit, offset)


@router.get("/tunings/{id}")
async def tuning(id: int, lab: LabDep) -> TuningView:
    """One tuning: its values, runs, and the answer of the runs that have finished."""
    return lab.tunings.get(id)


@router.post("/tunings/{id}/stop")
async def stop(id: int, lab: LabDep) -> TuningView:
    """Stop it early. Finished runs are kept."""
    return await lab.tunings.stop(id)


@router.delete("/tunings/{id}", status_code=204)
async def delete(id: int, lab: LabDep, runs: bool = False) -> None:
    """Delete it. Its runs are kept, unless `runs=true`."""
    await lab.tunings.delete(id, runs)
