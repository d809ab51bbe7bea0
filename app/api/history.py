"""The history: lists as files, labels, two runs side by side, what other tools have said."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from app.api.queries import RunQuery
from app.api.specs import ForeignSpec, LabelSpec
from app.history.diff import RunDiff
from app.report import listing
from app.schemas.imported_result import StoredImport
from app.schemas.run import RunView
from app.web.deps import LabDep

router = APIRouter(tags=["runs"])


class ExportQuery(RunQuery):
    """Which runs, and as what."""

    format: Literal["csv", "json", "jsonl"] = "csv"


RUNS = {"type": "array", "items": {"$ref": "#/components/schemas/RunView"}}
FILES = {
    kind.media_type: {"schema": RUNS if name == "json" else {"type": "string"}}
    for name, kind in listing.FORMATS.items()
}


@router.get(
    "/runs/export",
    response_class=StreamingResponse,
    responses={200: {"description": "A file.", "content": FILES}},
)
async def export(lab: LabDep, query: Annotated[ExportQuery, Query()]) -> Response:
    """All runs that the filter leaves: CSV, a row each, or as the API gives them: one JSON array, or JSON lines."""
    kind = listing.FORMATS[query.format]
    lines = kind.write(lab.history.iterate(query.filter))
    name = {"Content-Disposition": f'attachment; filename="threadlab-runs.{query.format}"'}
    return StreamingResponse(lines, headers=name, media_type=kind.media_type)


@router.patch("/runs/{id:number}")
async def relabel(id: int, spec: LabelSpec, lab: LabDep) -> RunView:
    """Change its label; null takes it away. Nothing else of a run can be changed."""
    return await lab.history.relabel(id, spec.label)


@router.get("/runs/{a}/diff/{b}")
async def diff(a: int, b: int, lab: LabDep) -> RunDiff:
    """Run b against run a: in what they were not the same, and each figure with its change and whether that is larger
    than the noise. Null is not known, or cannot be judged."""
    return await lab.history.diff(a, b)


@router.post("/runs/{id}/foreign", status_code=201)
async def add_foreign(id: int, spec: ForeignSpec, lab: LabDep) -> StoredImport:
    """Keep what wrk, oha or k6 has said of the same engine beside a run. It is another clock, and took its own share
    of the machine: never ranked, never mixed with ours."""
    return await lab.history.add_import(id, spec.tool, spec.text)


@router.get("/runs/{id}/foreign")
async def foreign(id: int, lab: LabDep) -> list[StoredImport]:
    """What other tools have said, oldest first."""
    return lab.history.imports(id)


@router.delete("/runs/{id}/foreign/{which}", status_code=204)
async def delete_foreign(id: int, which: int, lab: LabDep) -> None:
    """Take one away."""
    await lab.history.delete_import(id, which)
