"""Scenarios, and runs: create, list, read, stop and delete."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import PlainTextResponse

from app.api.queries import RunPageQuery, TimeRangeQuery
from app.api.router import api_router
from app.api.specs import RunSpec
from app.errors import Invalid
from app.plans.scenarios import SCENARIOS
from app.runs.request import RunRequest
from app.schemas.excerpt import TraceExcerpt
from app.schemas.run import RunView
from app.schemas.scenario import ScenarioView
from app.schemas.time_range import TimeRange
from app.web.deps import LabDep

router = api_router("runs")
Window = Annotated[float | None, Query(ge=10, le=10_000_000)]


@router.get("/scenarios")
async def scenarios() -> list[ScenarioView]:
    """Named plans, each with a sentence on what to watch."""
    return list(SCENARIOS.values())


@router.post("/runs", status_code=201)
async def submit(spec: RunSpec, lab: LabDep, response: Response) -> RunView:
    """Queue a run; runs are executed one at a time. Poll its Location, or follow it on the WebSocket.

    With `engines`, one run per engine is queued and all of them run in parallel. The response is the first
    one, its `beside` has the ids of the others.
    """
    request = RunRequest(
        engine=spec.engine or None,
        model=spec.model or None,
        knobs=spec.knobs,
        scenario=spec.scenario,
        plan=spec.plan.model_dump(exclude_unset=True) if spec.plan else {},
        thresholds=spec.thresholds,
        label=spec.label,
        then=[each.model_dump() for each in spec.then],
    )
    if spec.engines:
        if spec.engine or spec.model or spec.knobs or spec.then:
            raise Invalid.field("/engines", "Give either several engines, or one engine or model.")
        view = (await lab.runs.submit_concurrent(spec.engines, request))[0]
    else:
        view = await lab.runs.submit(request)
    response.headers["Location"] = f"/api/v1/runs/{view.id}"
    return view


@router.get("/runs")
async def runs(lab: LabDep, query: Annotated[RunPageQuery, Query()], response: Response) -> list[RunView]:
    """A page of the runs that match the filter, with those that are queued or in progress.

    Newest first, unless `sort` is given. The header `X-Total-Count` has the number of all matching runs.
    """
    found = await lab.history.find(query.filter, query.limit, query.offset)
    response.headers["X-Total-Count"] = str(found.total)
    return found.runs


@router.get("/runs/{id:number}")
async def run(id: int, lab: LabDep) -> RunView:
    """One run: plan, placement, environment, summary, ledger, verdict."""
    return lab.runs.get(id)


@router.post("/runs/{id}/stop")
async def stop(id: int, lab: LabDep) -> RunView:
    """Stop it early. Data measured until then is kept, and the run is marked as stopped."""
    return lab.runs.stop(id)


@router.delete("/runs/{id:number}", status_code=204)
async def delete(id: int, lab: LabDep) -> None:
    """Delete a run."""
    await lab.runs.delete([id])


@router.get("/runs/{id}/series")
async def series(id: int, lab: LabDep) -> dict[str, Any]:
    """The series: one row per second; null is unknown."""
    return lab.runs.series(id)


@router.get("/runs/{id}/excerpt")
async def excerpt(id: int, lab: LabDep, window_us: Window = None) -> TraceExcerpt:
    """A window of the thread trace that is short enough to see single requests, about a slow one if any.

    Of a run with `trace`. `window_us`: the length of the window, such as that of another run.
    """
    return await asyncio.to_thread(lab.runs.excerpt, id, window_us)


@router.get("/runs/{id}/percentiles")
async def percentiles(id: int, lab: LabDep) -> dict[str, Any]:
    """Response and service time by percentile, up to the last percentile with 10 samples above it."""
    return await asyncio.to_thread(lab.runs.percentiles, id)


@router.get("/runs/{id}/range")
async def time_range(id: int, lab: LabDep, query: Annotated[TimeRangeQuery, Query()]) -> TimeRange:
    """Figures of a part of the run: of all seconds that overlap the range, with percentiles of their own."""
    return await asyncio.to_thread(lab.runs.time_range, id, query.from_s, query.to_s)


@router.get("/runs/{id}/histogram", response_class=PlainTextResponse)
async def histogram(id: int, lab: LabDep) -> str:
    """HdrHistogram interval log of response time in µs, one line per second."""
    return await asyncio.to_thread(lab.runs.histogram, id)
