"""Claims of the literature, and experiments that test them: create, list, read, stop, resume and delete."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Response

from app.api.router import api_router
from app.api.specs import ExperimentSpec
from app.experiments.experiments import ExperimentRequest
from app.schemas.experiment import ClaimView, ExperimentView
from app.web.deps import LabDep

router = api_router("experiments")


@router.get("/claims")
async def claims(lab: LabDep) -> list[ClaimView]:
    """All claims in the order of the article: how each is tested here, and its last answers."""
    return await asyncio.to_thread(lab.experiments.claims)


@router.get("/claims/{id}")
async def claim(id: str, lab: LabDep) -> ClaimView:
    """One claim with its last answers."""
    return await asyncio.to_thread(lab.experiments.claim, id)


@router.post("/experiments", status_code=201)
async def submit(spec: ExperimentSpec, lab: LabDep, response: Response) -> ExperimentView:
    """Queue a test of one claim, or of several, which share what they measure.

    The response is the first experiment, its `session` has the ids of all. Poll its Location, or follow it on
    the WebSocket.
    """
    request = ExperimentRequest(
        claims=[spec.claim] if spec.claim else spec.claims,
        which=spec.set,
        rounds=spec.rounds,
        quick=spec.quick,
        prediction=spec.prediction,
        predicted_ratio=spec.predicted_ratio,
        trace=spec.trace,
        seed=spec.seed,
        label=spec.label,
    )
    view = (await lab.experiments.submit(request))[0]
    response.headers["Location"] = f"/api/v1/experiments/{view.id}"
    return view


@router.get("/experiments")
async def experiments(
    lab: LabDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> list[ExperimentView]:
    """All experiments, newest first, with those that are queued or in progress."""
    return await lab.experiments.history(limit, offset)


@router.get("/experiments/{id:number}")
async def experiment(id: int, lab: LabDep) -> ExperimentView:
    """One experiment: cells, rounds, ratios, and the answer of the rounds so far."""
    return lab.experiments.get(id)


@router.post("/experiments/{id}/stop")
async def stop(id: int, lab: LabDep) -> ExperimentView:
    """Stop it early. Complete rounds are kept."""
    return await lab.experiments.stop(id)


@router.post("/experiments/{id}/resume", status_code=202)
async def resume(id: int, lab: LabDep) -> ExperimentView:
    """Continue an experiment that ended early. It keeps its complete rounds."""
    return await lab.experiments.resume(id)


@router.delete("/experiments/{id:number}", status_code=204)
async def delete(id: int, lab: LabDep, runs: bool = False) -> None:
    """Delete it. Its runs are kept, unless `runs=true`."""
    await lab.experiments.delete(id, runs)
