"""Engines of the workbench: start and stop.

Each action works as a plain form (POST → 303). A request by HTMX gets the block that changed.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.errors import Invalid, LabError, StartFailed
from app.lab import Lab
from app.pages import workbench
from app.pages.cards import card, cards_of, typed_knobs
from app.pages.field_lengths import check_lengths
from app.pages.responses import FormDep, TypedDep, block, by_htmx
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)


@router.post("/engines")
async def start(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Start an engine with the knobs of the card; with 422, return the card with its problems."""
    model, typed = form.get("model", ""), typed_knobs(form)
    lab.launchables.require(model)
    try:
        check_lengths(form)
        await lab.fleet.start(model, typed)
    except StartFailed:
        pass  # the card shows the reason and the last lines of stderr
    except LabError as error:
        return await _refused_start(request, lab, model, typed, error)
    if by_htmx(request):
        return block(request, "card", card=card(lab, model, None))
    return RedirectResponse(_tab(lab, model), 303)


def _tab(lab: Lab, name: str) -> str:
    """Return the address of the workbench's tab that has the card of a model or server."""
    return workbench.SERVERS if lab.launchables.is_external(name) else workbench.MODELS


async def _refused_start(
    request: Request, lab: Lab, model: str, typed: dict[str, str], error: LabError
) -> Response:
    as_invalid = error if isinstance(error, Invalid) else Invalid(error.detail)
    refused = card(lab, model, None, typed, as_invalid)
    if by_htmx(request):
        return block(request, "card", 422, card=refused)
    external = lab.launchables.is_external(model)
    cards = [refused if each.model.name == model else each for each in cards_of(lab, external, None)]
    return await workbench.whole_page(request, lab, status=422, external=external, cards=cards)


@router.post("/engines/stop-all")
async def stop_all(request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop every running engine. `external`: the page shows the cards of external servers."""
    external = form.get("external") == "1"
    alive = [engine.id for engine in lab.fleet.engines.values() if engine.alive]
    await asyncio.gather(*(lab.fleet.stop(id) for id in alive))
    if by_htmx(request):
        return block(request, "cards", cards=cards_of(lab, external, None), external=external)
    return RedirectResponse(workbench.SERVERS if external else workbench.MODELS, 303)


@router.post("/engines/{id}/stop")
async def stop(id: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop an engine, at once if `force` is 1. Raises Unknown."""
    engine = lab.fleet.engine(id)
    await begin_stop(lab, id, form.get("force") == "1")
    if by_htmx(request):
        return block(request, "card", card=card(lab, engine.name, None))
    return RedirectResponse(_tab(lab, engine.name), 303)


async def begin_stop(lab: Lab, id: str, force: bool) -> None:
    """Begin to stop an engine, and wait at most 0.3 s: meanwhile the page shows that it drains."""
    stopping = asyncio.create_task(lab.fleet.stop(id, force))
    await asyncio.wait([stopping], timeout=None if force else 0.3)
    lab.fleet.keep_task(stopping)
