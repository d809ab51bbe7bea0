"""The models: descriptions, knobs, and whether each can run here."""

from __future__ import annotations

from app.api.router import api_router
from app.schemas.model import ModelView
from app.web.deps import LabDep

router = api_router("models")


@router.get("/models")
async def models(lab: LabDep) -> list[ModelView]:
    """All models: description, knobs with their bounds, and whether each is available here."""
    return list(lab.models.views.values())


@router.get("/models/{name}")
async def model(name: str, lab: LabDep) -> ModelView:
    """One model, with the source code of its module."""
    return lab.models.get(name)
