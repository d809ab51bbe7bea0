"""The lab page, its cards and engines, and the side-by-side view.

Each works as a plain form (POST → 303). A request by HTMX gets the block that changed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid, LabError, StartFailed
from app.lab import Lab
from app.pages import fields, forms, load_form
from app.pages.responses import LAB_PAGE, FormDep, TypedDep, block, by_htmx, page
from app.plans.scenarios import SCENARIOS
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LAST_RUNS = 5


@router.get("/")
async def lab_page(
    request: Request, lab: LabDep, watch: str | None = None, again: int | None = None
) -> HTMLResponse:
    """Return the lab page. `watch`: engine in the live view; `again`: run that fills the load form."""
    given: dict[str, Any] = {} if again is None else {"form": load_form.again(lab, lab.runs.get(again))}
    return await whole_page(request, lab, watch, **given)


async def whole_page(
    request: Request, lab: Lab, watch: str | None = None, status: int = 200, **given: Any
) -> HTMLResponse:
    """Return the lab page. `given`: variables of the template that replace those of the lab's state."""
    current = lab.runs.current()
    context = {
        "cards": [forms.card(lab, name, watch) for name in lab.models.views],
        "system": lab.system,
        "scenarios": list(SCENARIOS.values()),
        "runs": await lab.runs.history(LAST_RUNS),
        "current": lab.runs.get(current.view.id) if current else None,
        "queued": max(0, len(lab.runs.active) - 1),
        "form": load_form.empty(lab),
        "watched": watch if watch in lab.fleet.engines else None,
        **given,
    }
    return page(request, LAB_PAGE, status, **context)


@router.get("/live")
async def live_page(request: Request) -> HTMLResponse:
    """Return the side-by-side live view."""
    return page(request, "pages/live.html")


@router.get("/cards/{model}")
async def card(model: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the card of a model. Raises Unknown."""
    return block(request, "card", card=forms.card(lab, model, None))


@router.post("/engines")
async def start(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Start an engine with the knobs of the card; with 422, return the card with its problems."""
    model, typed = form.get("model", ""), forms.typed_knobs(form)
    lab.models.get(model)
    try:
        fields.check_lengths(form)
        await lab.fleet.start(model, typed)
    except StartFailed:
        pass  # the card shows the reason and the last lines of stderr
    except LabError as error:
        return await _refused_start(request, lab, model, typed, error)
    if by_htmx(request):
        return block(request, "card", card=forms.card(lab, model, None))
    return RedirectResponse("/", 303)


async def _refused_start(
    request: Request, lab: Lab, model: str, typed: dict[str, str], error: LabError
) -> Response:
    as_invalid = error if isinstance(error, Invalid) else Invalid(error.detail)
    refused = forms.card(lab, model, None, typed, as_invalid)
    if by_htmx(request):
        return block(request, "card", 422, card=refused)
    cards = [refused if name == model else forms.card(lab, name, None) for name in lab.models.views]
    return await whole_page(request, lab, status=422, cards=cards)


@router.post("/engines/stop-all")
async def stop_all(request: Request, lab: LabDep) -> Response:
    """Stop every running engine."""
    alive = [engine.id for engine in lab.fleet.engines.values() if engine.alive]
    await asyncio.gather(*(lab.fleet.stop(id) for id in alive))
    if by_htmx(request):
        return block(request, "cards", cards=[forms.card(lab, name, None) for name in lab.models.views])
    return RedirectResponse("/", 303)


@router.post("/engines/{id}/stop")
async def stop(id: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop an engine, at once if `force` is 1. Raises Unknown."""
    engine = lab.fleet.engine(id)
    await begin_stop(lab, id, form.get("force") == "1")
    if by_htmx(request):
        return block(request, "card", card=forms.card(lab, engine.model.name, None))
    return RedirectResponse("/", 303)


async def begin_stop(lab: Lab, id: str, force: bool) -> None:
    """Begin to stop an engine, and wait at most 0.3 s: meanwhile the page shows that it drains."""
    stopping = asyncio.create_task(lab.fleet.stop(id, force))
    await asyncio.wait([stopping], timeout=None if force else 0.3)
    lab.fleet.keep_task(stopping)
