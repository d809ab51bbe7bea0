"""The block of model and server pages with the newest engine: start it, stop it, load it."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import NotNow, StartFailed
from app.lab import Lab
from app.load.protocol.plan import Plan
from app.pages import cards
from app.pages.cards import Card
from app.pages.engine_actions import begin_stop
from app.pages.responses import FormDep, block, by_htmx
from app.plans.scenarios import SCENARIOS
from app.runs.request import RunRequest
from app.schemas.scenario import ScenarioView
from app.schemas.server import ServerView
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
DEFAULT_LOAD = "slow-handler"  # a rate that every model sustains, with visible thread states


@router.get("/models/{name}/now")
@router.get("/servers/{name}/now")
async def now(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the block with the newest engine of the model or server, and its actions."""
    return block(request, "engine_now", page="pages/model.html", **engine_context(lab, name))


@router.post("/models/{name}/start")
@router.post("/servers/{name}/start")
async def start(name: str, request: Request, lab: LabDep) -> Response:
    """Start an engine with default knobs. Raises Unknown."""
    lab.launchables.require(name)
    with contextlib.suppress(StartFailed):  # the page shows the reason and the last lines of stderr
        await lab.fleet.start(name, {})
    return await _respond(name, request, lab)


@router.post("/models/{name}/stop")
@router.post("/servers/{name}/stop")
async def stop(name: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop the newest engine, at once if `force` is 1. Raises NotNow."""
    await begin_stop(lab, _running(lab, name), form.get("force") == "1")
    return await _respond(name, request, lab)


@router.post("/models/{name}/load")
@router.post("/servers/{name}/load")
async def load(name: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Queue a run of a scenario on the newest engine. Raises NotNow."""
    scenario = form.get("scenario") or DEFAULT_LOAD
    await lab.runs.submit(RunRequest(engine=_running(lab, name), scenario=scenario))
    return await _respond(name, request, lab)


async def _respond(name: str, request: Request, lab: Lab) -> Response:
    if by_htmx(request):
        return await now(name, request, lab)
    folder = "servers" if lab.launchables.is_external(name) else "models"
    return RedirectResponse(f"/{folder}/{name}", 303)


def engine_context(lab: Lab, name: str) -> dict[str, Any]:
    """Return what the block needs: the model or server with its card. Raises Unknown."""
    card = cards.card(lab, name, None)
    current = lab.runs.current()
    return {
        "model": card.model,
        "card": card,
        "run": lab.runs.get(current.view.id) if current else None,
        "scenarios": [each for each in SCENARIOS.values() if _can_serve(card, each)],
        "default_load": DEFAULT_LOAD,
    }


def _can_serve(card: Card, scenario: ScenarioView) -> bool:
    """Return whether an engine of the card serves all work kinds of a scenario."""
    if not isinstance(card.model, ServerView):
        return True
    plan = Plan.from_json(scenario.plan)
    mixes = (plan.work, *(group.work for group in plan.groups))
    return {work.kind for mix in mixes for work in mix} <= set(card.model.kinds)


def _running(lab: Lab, name: str) -> str:
    """Return the id of the newest engine of a name. Raises NotNow if none is running."""
    engine = cards.card(lab, name, None).engine
    if engine is None or engine.exit is not None:
        raise NotNow(f"No engine of {name} is running. Start one first.")
    return engine.id
