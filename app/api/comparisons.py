"""Comparisons: models under one plan in turns, and what can be called."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from app.api.exports import CsvResponse, JsonTextResponse, XmlResponse, as_file
from app.api.specs import ComparisonSpec, ModelSpec
from app.comparisons.comparisons import ComparisonRequest
from app.report.compared import BUNDLE, CSV, JUNIT, REPORT
from app.schemas.comparison import ComparisonView
from app.web.deps import LabDep

router = APIRouter(tags=["comparisons"])


@router.post("/comparisons", status_code=201)
async def submit(spec: ComparisonSpec, lab: LabDep, response: Response) -> ComparisonView:
    """Queue a comparison; its trials go one at a time. Follow it at its Location or on the WebSocket."""
    request = ComparisonRequest(
        models=[each.model_dump() if isinstance(each, ModelSpec) else each for each in spec.models],
        view=spec.view,
        scenario=spec.scenario,
        plan=spec.plan.model_dump(exclude_unset=True) if spec.plan else {},
        trials=spec.trials,
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
    """The history, newest first, with what is queued and going."""
    return await lab.comparisons.history(limit, offset)


@router.get("/comparisons/{id}")
async def comparison(id: int, lab: LabDep) -> ComparisonView:
    """One comparison: entries, trials, and the answer as far as they have ended."""
    return lab.comparisons.get(id)


@router.post("/comparisons/{id}/stop")
async def stop(id: int, lab: LabDep) -> ComparisonView:
    """End it early; trials that have ended are kept."""
    return await lab.comparisons.stop(id)


@router.delete("/comparisons/{id}", status_code=204)
async def delete(id: int, lab: LabDep, runs: bool = False) -> None:
    """Remove it from the history. Its runs stay, or go with it with `runs=true`."""
    await lab.comparisons.delete(id, runs)


@router.get("/comparisons/{id}/percentiles")
async def percentiles(id: int, lab: LabDep) -> dict[str, Any]:
    """Latency by percentile of each entry, of the merged histograms of its trials; null where nothing was measured."""
    return lab.comparisons.percentiles(id)


@router.get("/comparisons/{id}/csv", response_class=CsvResponse)
async def csv(id: int, lab: LabDep) -> Response:
    """Its trials as CSV, a row each; an empty cell is unknown."""
    return await as_file(CSV, CsvResponse, lab, id)


@router.get("/comparisons/{id}/junit", response_class=XmlResponse)
async def junit(id: int, lab: LabDep) -> Response:
    """Its thresholds as JUnit test cases, a suite for each of its runs that is kept."""
    return await as_file(JUNIT, XmlResponse, lab, id)


@router.get("/comparisons/{id}/bundle", response_class=JsonTextResponse)
async def bundle(id: int, lab: LabDep) -> Response:
    """Everything that is kept of it in one JSON: view, merged percentiles, runs."""
    return await as_file(BUNDLE, JsonTextResponse, lab, id)


@router.get("/comparisons/{id}/report", response_class=HTMLResponse)
async def report(id: int, lab: LabDep) -> Response:
    """One HTML file with its pictures and tables; it needs nothing else, and runs no script."""
    return await as_file(REPORT, HTMLResponse, lab, id)
