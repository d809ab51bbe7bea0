"""The history of runs: list export, labels and comments, diffs, imported results."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response, StreamingResponse

from app.api.queries import RunQuery
from app.api.router import api_router
from app.api.specs import AnnotationSpec, ImportSpec
from app.errors import Invalid
from app.history.diff import RunDiff
from app.report import run_list
from app.schemas.imported_result import StoredImport
from app.schemas.run import RunView
from app.web.deps import LabDep

router = api_router("runs")


class ExportQuery(RunQuery):
    """The filter of an exported list, and its file format."""

    format: Literal["csv", "json", "jsonl"] = "csv"


RUN_LIST_SCHEMA = {"type": "array", "items": {"$ref": "#/components/schemas/RunView"}}
FILE_CONTENTS = {
    kind.media_type: {"schema": RUN_LIST_SCHEMA if name == "json" else {"type": "string"}}
    for name, kind in run_list.FORMATS.items()
}


@router.get(
    "/runs/export",
    response_class=StreamingResponse,
    responses={200: {"description": "The list as a file.", "content": FILE_CONTENTS}},
)
async def export(lab: LabDep, query: Annotated[ExportQuery, Query()]) -> Response:
    """All runs that match the filter: CSV with one row each, one JSON array, or JSON lines."""
    kind = run_list.FORMATS[query.format]
    text = run_list.chunked(kind.write(lab.history.iterate(query.filter)))
    name = {"Content-Disposition": f'attachment; filename="threadlab-runs.{query.format}"'}
    return StreamingResponse(text, headers=name, media_type=kind.media_type)


@router.patch("/runs/{id:number}")
async def annotate(id: int, spec: AnnotationSpec, lab: LabDep) -> RunView:
    """Set label, comment or both of a run; null removes it. Nothing else of a run can be changed."""
    if not spec.model_fields_set:
        raise Invalid("Give label, comment or both.")
    return await lab.history.annotate(id, spec.model_dump(exclude_unset=True))


@router.get("/runs/{a}/diff/{b}")
async def diff(a: int, b: int, lab: LabDep) -> RunDiff:
    """Run b compared with run a: setup differences, and each figure with its change.

    `larger` is whether the change is significant. Null is unknown, or cannot be judged.
    """
    return await lab.history.diff(a, b)


@router.post("/runs/{id}/foreign", status_code=201)
async def add_foreign(id: int, spec: ImportSpec, lab: LabDep) -> StoredImport:
    """Import the output of wrk, oha or k6 from a test of the same engine, and store it with a run.

    Another tool has its own clock and its own CPU cost, so its figures are never ranked nor merged with the
    run's.
    """
    return await lab.history.add_import(id, spec.tool, spec.text)


@router.get("/runs/{id}/foreign")
async def foreign(id: int, lab: LabDep) -> list[StoredImport]:
    """The imported results of a run, oldest first."""
    return lab.history.imports(id)


@router.delete("/runs/{id}/foreign/{which}", status_code=204)
async def delete_foreign(id: int, which: int, lab: LabDep) -> None:
    """Delete an imported result."""
    await lab.history.delete_import(id, which)
