"""The workbench, its cards, and the side-by-side view."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.lab import Lab
from app.pages import cards, load_form
from app.pages.responses import WORKBENCH, block, page
from app.plans.scenarios import SCENARIOS
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LAST_RUNS = 5
MODELS, SERVERS = "/workbench", "/servers"  # the two tabs of the workbench


@router.get("/workbench")
async def workbench(
    request: Request, lab: LabDep, target: str | None = None, again: int | None = None
) -> HTMLResponse:
    """Return the workbench. `target`: an engine or `model:` and a name; `again`: a run that fills a form."""
    form = load_form.empty(lab, target) if again is None else load_form.again(lab, lab.runs.get(again))
    return await whole_page(request, lab, form=form)


@router.get("/servers")
async def servers(request: Request, lab: LabDep, target: str | None = None) -> HTMLResponse:
    """Return the workbench with the cards of external servers. `target`: as of the workbench."""
    return await whole_page(request, lab, form=load_form.empty(lab, target), external=True)


async def whole_page(
    request: Request,
    lab: Lab,
    form: load_form.LoadForm | None = None,
    status: int = 200,
    external: bool = False,
    **given: Any,
) -> HTMLResponse:
    """Return the workbench, with cards of models or of external servers.

    `given`: variables of the template that replace those of the lab's state.
    """
    current = lab.runs.current()
    form = form or load_form.empty(lab)
    target = form.values.get("engine")
    context = {
        "cards": cards.cards_of(lab, external, target),
        "external": external,
        "here": SERVERS if external else MODELS,
        "numbers": (len(lab.models.views), len(lab.servers.definitions)),
        "system": lab.system,
        "scenarios": list(SCENARIOS.values()),
        "runs": await lab.runs.history(LAST_RUNS),
        "current": lab.runs.get(current.view.id) if current else None,
        "queued": max(0, len(lab.runs.active) - 1),
        "form": form,
        **given,
    }
    return page(request, "pages/servers.html" if external else WORKBENCH, status, **context)


@router.get("/live")
async def live_page(request: Request) -> HTMLResponse:
    """Return the side-by-side live view."""
    return page(request, "pages/live.html")


@router.get("/cards/{model}")
async def card(model: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the card of a model or external server. Raises Unknown."""
    return block(request, "card", card=cards.card(lab, model, None))
