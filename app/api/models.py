"""What models there are."""

from __future__ import annotations

from fastapi import APIRouter

from app.schemas.model import ModelView
from app.web.deps import LabDep

router = APIRouter(tags=["models"])


@router.get("/models")
async def models(lab: LabDep) -> list[ModelView]:
    """Every model: what it is, its knobs with their bounds, and whether it can run here."""
    return list(lab.models.views.values())


@router.get("/models/{name}")
async def model(name: str, lab: LabDep) -> ModelView:
    """One model, with its lesson's source."""
    return lab.models.get(name)
