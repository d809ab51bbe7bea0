"""Comparisons: create, list, read, stop and delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from app.api.router import api_router
from app.api.specs import ComparisonSpec, ModelSpec
from app.comparisons.comparisons import ComparisonRequest
from app.schemas.comparison import ComparisonView
from app.web.deps import LabDep

router = api_router("comparisons")


@router.post("/comparisons", status_code=201)
async def submit(spec: ComparisonSpec, lab: LabDep, response: Response) -> ComparisonView:
    """Queue a comparison; its trials run one at a time. Poll its Location, or follow it on the WebSocket."""
    request = ComparisonRequest(
        models=[each.model_dump() if isinstance(each, ModelSpec) else each for each in spec.models],
        view=spec.view,
        scenario=spec.scenario,
        plan=spec.plan.model_dump(exclude_unset=True) if spec.plan else {},
        rounds=spec.rounds,
        seed=spec.seed,
        thresholds=spec.thresholds,
        label=spec.label,
    )
    view = await lab.comparisons.submit(request)
    response.headers["Location"] = f"/api/v1/comparisons/{view.id}"
    return view


@router.get("/comparisons")
async def comparisons(
    lab: LabDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> list[ComparisonView]:
    """All comparisons, newest first, with those that are queued or in progress."""
    return await lab.comparisons.history(limit, offset)


@router.get("/comparisons/{id}")
async def comparison(id: int, lab: LabDep) -> ComparisonView:
    """One comparison: entries, trials, and the result of the trials that have finished."""
    return lab.comparisons.get(id)


@router.post("/comparisons/{id}/stop")
async def stop(id: int, lab: LabDep) -> ComparisonView:
    """Stop it early. Finished trials are kept."""
    return await lab.comparisons.stop(id)


@router.delete("/comparisons/{id}", status_code=204)
async def delete(id: int, lab: LabDep, runs: bool = False) -> None:
    """Delete it. Its runs are kept, unless `runs=true`."""
    await lab.comparisons.delete(id, runs)


@router.get("/comparisons/{id}/percentiles")
async def percentiles(id: int, lab: LabDep) -> dict[str, Any]:
    """Latency by percentile of each entry, from the merged histograms of its trials; null if unknown."""
    return lab.comparisons.percentiles(id)
