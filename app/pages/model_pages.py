"""Model pages: the list of models, and each model with its source and its running engine."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.lab import Lab
from app.pages.answers import ClaimRow, claim_row
from app.pages.engine_now import engine_context
from app.pages.model_claims import CLAIMS
from app.pages.responses import page
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
PAGE = "pages/model.html"


@router.get("/models")
async def models(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the list of models."""
    return page(request, "pages/models.html", models=list(lab.models.views.values()))


@router.get("/models/{name}")
async def model(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of a model. Raises Unknown."""
    lab.models.get(name)
    tested = await asyncio.to_thread(_tested, lab, name)
    views = list(lab.models.views.values())
    index = next(i for i, view in enumerate(views) if view.name == name)
    before = views[index - 1] if index else None
    after = views[index + 1] if index + 1 < len(views) else None
    return page(request, PAGE, previous=before, next=after, tested=tested, **engine_context(lab, name))


def _tested(lab: Lab, name: str) -> dict[str, ClaimRow]:
    """Return the claims that test pros and cons of a model, with their last answers. Thread-safe."""
    experiments = lab.experiments
    return {
        text: claim_row(experiments.claim(id), experiments.last_answer(id))
        for text, id in CLAIMS.get(name, {}).items()
    }
