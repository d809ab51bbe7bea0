"""Model pages: the list of models, and each model with its source, its running engine and a load."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import NotNow, StartFailed
from app.lab import Lab
from app.pages import cards
from app.pages.answers import ClaimRow, claim_row
from app.pages.engine_actions import begin_stop
from app.pages.model_claims import CLAIMS
from app.pages.responses import FormDep, by_htmx, page
from app.plans.scenarios import SCENARIOS
from app.runs.request import RunRequest
from app.templating import render_block
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
PAGE = "pages/model.html"
DEFAULT_LOAD = "slow-handler"  # a rate that every model sustains, with visible thread states


@router.get("/models")
async def models(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the list of models."""
    return page(request, "pages/models.html", models=list(lab.models.views.values()))


@router.get("/models/{name}")
async def model(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of a model. Raises Unknown."""
    context = _engine_context(lab, name)
    tested = await asyncio.to_thread(_tested, lab, name)
    views = list(lab.models.views.values())
    index = next(i for i, view in enumerate(views) if view.name == name)
    before = views[index - 1] if index else None
    after = views[index + 1] if index + 1 < len(views) else None
    return page(request, PAGE, previous=before, next=after, tested=tested, **context)


def _tested(lab: Lab, name: str) -> dict[str, ClaimRow]:
    """Return the claims that test pros and cons of a model, with their last answers. Thread-safe."""
    experiments = lab.experiments
    return {
        text: claim_row(experiments.claim(id), experiments.last_answer(id))
        for text, id in CLAIMS.get(name, {}).items()
    }


@router.get("/models/{name}/now")
async def now(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the block with the newest engine of the model and its actions."""
    context = _engine_context(lab, name)
    return HTMLResponse(render_block(request.app.state.templates, PAGE, "engine_now", context))


@router.post("/models/{name}/start")
async def start(name: str, request: Request, lab: LabDep) -> Response:
    """Start an engine of the model with default knobs. Raises Unknown."""
    lab.models.get(name)
    with contextlib.suppress(StartFailed):  # the page shows the reason and the last lines of stderr
        await lab.fleet.start(name, {})
    return await _respond(name, request, lab)


@router.post("/models/{name}/stop")
async def stop(name: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop the newest engine of the model, at once if `force` is 1. Raises NotNow."""
    await begin_stop(lab, _running(lab, name), form.get("force") == "1")
    return await _respond(name, request, lab)


@router.post("/models/{name}/load")
async def load(name: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Queue a run of a scenario on the newest engine of the model. Raises NotNow."""
    scenario = form.get("scenario") or DEFAULT_LOAD
    await lab.runs.submit(RunRequest(engine=_running(lab, name), scenario=scenario))
    return await _respond(name, request, lab)


async def _respond(name: str, request: Request, lab: Lab) -> Response:
    return await now(name, request, lab) if by_htmx(request) else RedirectResponse(f"/models/{name}", 303)


def _engine_context(lab: Lab, name: str) -> dict[str, Any]:
    card = cards.card(lab, name, None)
    current = lab.runs.current()
    return {
        "model": card.model,
        "card": card,
        "run": lab.runs.get(current.view.id) if current else None,
        "scenarios": list(SCENARIOS.values()),
        "default_load": DEFAULT_LOAD,
    }


def _running(lab: Lab, name: str) -> str:
    """Return the id of the newest engine of a model. Raises NotNow if none is running."""
    engine = cards.card(lab, name, None).engine
    if engine is None or engine.exit is not None:
        raise NotNow(f"No engine of {name} is running. Start one first.")
    return engine.id
