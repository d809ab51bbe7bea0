"""The home page: the question, the demonstration of one slow request, and the last answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.demonstration import demonstration as show
from app.errors import NotNow
from app.lab import Lab
from app.pages.answers import ClaimRow, claim_row
from app.pages.responses import by_htmx, page
from app.templating import render_block
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
PAGE = "pages/home.html"
SHOWN = ("reactor-stalls", "blocking-idle-memory", "mainsub-scales", "pool-uses-cores", "reactor-one-core")
CLAIM = "reactor-stalls"  # what the demonstration shows once


@dataclass(frozen=True, slots=True)
class DemonstratedModel:
    """A model of the demonstration, and the threads that it has with default knobs."""

    name: str
    title: str
    threads: str


@router.get("/")
async def home(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the home page."""
    rows = await asyncio.to_thread(_rows, lab)
    claims = len(lab.experiments.claim_ids)
    return page(request, PAGE, rows=rows, claims=claims, **_demonstration(lab))


@router.post("/demonstration")
async def start(request: Request, lab: LabDep) -> Response:
    """Start the demonstration, unless it is running. Redirect home, or return its block to HTMX."""
    problem = ""
    try:
        lab.demonstration.start()
    except NotNow as error:
        problem = error.detail
    if by_htmx(request):
        return _block(request, lab, problem)
    if problem:
        rows = await asyncio.to_thread(_rows, lab)
        context = _demonstration(lab, problem)
        return page(request, PAGE, 409, rows=rows, claims=len(lab.experiments.claim_ids), **context)
    return RedirectResponse("/", 303)


@router.get("/demonstration")
async def demonstration(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the block of the demonstration in its current state."""
    return _block(request, lab)


def _block(request: Request, lab: Lab, problem: str = "") -> HTMLResponse:
    context = _demonstration(lab, problem)
    html = render_block(request.app.state.templates, PAGE, "demonstration", context)
    return HTMLResponse(html, 409 if problem else 200)


def _demonstration(lab: Lab, problem: str = "") -> dict[str, Any]:
    """Return the variables of the demonstration's block."""
    view = lab.demonstration.view
    current = lab.runs.active.get(view.runs[0]) if view and view.runs else None
    return {
        "shown": view,
        "problem": problem,
        "run": current.view if current else None,
        "models": [_demonstrated(lab, name) for name in show.MODELS],
        "plan": show,
        "claim": lab.experiments.claim(CLAIM),
        "cores": lab.system.cores,
    }


def _demonstrated(lab: Lab, name: str) -> DemonstratedModel:
    view = lab.models.get(name)
    knobs = {knob.name: knob.default for knob in view.knobs}
    workers = knobs.get("workers")
    return DemonstratedModel(name, view.title, f"1 reactor, {workers} workers" if workers else "1 thread")


def _rows(lab: Lab) -> list[ClaimRow]:
    """Return the claims of the home page with their last answers. Thread-safe."""
    return [claim_row(lab.experiments.claim(id), lab.experiments.last_answer(id)) for id in SHOWN]
