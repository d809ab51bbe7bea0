"""The pages of the history: filtered list, diff, labels and comments, deletion, imported results."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from app.errors import Invalid
from app.pages import filters
from app.pages.field_lengths import check_lengths
from app.pages.responses import TypedDep, by_htmx, page
from app.pages.run_fields import parse_run_id
from app.pages.run_pages import run_page
from app.schemas.run import RunView
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
SELECTED_MAX = 100
IMPORT_BYTES_MAX = 65_536
SelectedIds = Annotated[list[int], Query(max_length=SELECTED_MAX)]


@router.get("/runs")
async def runs(
    request: Request, lab: LabDep, offset: Annotated[int, Query(ge=0, le=10**9)] = 0
) -> HTMLResponse:
    """Return a page of the filtered list."""
    form = filters.read(request.query_params)
    found = await lab.history.find(form.filter, filters.PAGE_SIZE, offset)
    return page(
        request,
        "pages/runs.html",
        runs=found.runs,
        total=found.total,
        offset=offset,
        size=filters.PAGE_SIZE,
        form=form,
        names=await lab.history.filter_choices(),
        models=lab.models.views,
        any=bool(lab.store.count()),
    )


@router.get("/runs/diff")
async def diff(
    request: Request,
    lab: LabDep,
    a: int | None = None,
    b: int | None = None,
    run: SelectedIds = [],  # noqa: B006
) -> Response:
    """Return the diff of runs `a` and `b`; redirect to it from two selected runs. Raises Invalid, Unknown."""
    if len(run) == 2:  # selected in the list
        return RedirectResponse("/runs/diff?a={}&b={}".format(*sorted(run)), 303)
    if a is None or b is None:
        raise Invalid("Select exactly two runs in the list of runs to compare them.")
    found = await lab.history.diff(a, b)
    figures = [(group, list(each)) for group, each in groupby(found.figures, key=lambda figure: figure.group)]
    return page(
        request, "pages/runs_diff.html", diff=found, a=lab.runs.get(a), b=lab.runs.get(b), figures=figures
    )


@router.post("/runs/{id}/label")
async def relabel(id: int, request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Set the label of a run. Return its block to HTMX, else redirect to `back`. Raises Invalid."""
    typed, back = form.get("label", ""), form.get("back", "")
    try:
        check_lengths(form)
        view = await lab.history.annotate(id, {"label": typed})
    except Invalid as error:
        if not by_htmx(request):
            raise
        return _label(request, lab.runs.get(id), back, 422, typed_label=typed, problem=error.detail)
    if by_htmx(request):
        return _label(request, view, back)
    return RedirectResponse(back if back.startswith("/runs") else f"/runs/{id}", 303)


@router.post("/runs/{id}/comment")
async def comment(id: int, request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Set the comment of a run. Return its block to HTMX, else redirect to the run. Raises Invalid."""
    typed = form.get("comment", "").replace("\r\n", "\n")  # of a form, each line break is two characters
    try:
        check_lengths({**form, "comment": typed})
        view = await lab.history.annotate(id, {"comment": typed})
    except Invalid as error:
        if not by_htmx(request):
            raise
        shown = {"run": lab.runs.get(id), "typed_comment": typed, "comment_problem": error.detail}
        return page(request, "fragments/run_comment.html", 422, **shown)
    if by_htmx(request):
        return page(request, "fragments/run_comment.html", run=view)
    return RedirectResponse(f"/runs/{id}", 303)


def _label(request: Request, view: RunView, back: str, status: int = 200, **more: Any) -> HTMLResponse:
    return page(request, "fragments/run_label.html", status, run=view, back=back, **more)


@router.get("/runs/delete")
async def confirm_delete(request: Request, lab: LabDep, run: SelectedIds = []) -> HTMLResponse:  # noqa: B006
    """Return the page that asks for confirmation. Raises Invalid if no run is selected."""
    if not run:
        raise Invalid("Select runs to delete in the list of runs.")
    return page(request, "pages/runs_delete.html", runs=await lab.history.get_many(list(dict.fromkeys(run))))


@router.post("/runs/delete")
async def delete(request: Request, lab: LabDep) -> RedirectResponse:
    """Delete the selected runs and redirect to the list. Raises Invalid, NotNow."""
    async with request.form(max_files=0, max_fields=SELECTED_MAX) as form:
        typed = [parse_run_id(str(value)) for value in form.getlist("run")]
    ids = [id for id in dict.fromkeys(typed) if id is not None]
    if None in typed:
        raise Invalid.field("/run", "A run is identified by its number.")
    await lab.runs.delete(ids)
    return RedirectResponse("/runs", 303)


@router.post("/runs/{id}/foreign")
async def import_result(id: int, request: Request, lab: LabDep) -> Response:
    """Import the output of another load tool, uploaded or pasted, and redirect to the run."""
    async with request.form(max_files=1, max_fields=10, max_part_size=IMPORT_BYTES_MAX) as form:
        file, text, tool = form.get("file"), str(form.get("text") or ""), str(form.get("tool") or "")
        if isinstance(file, UploadFile) and file.size:
            text = (await file.read(IMPORT_BYTES_MAX)).decode(errors="replace")
    try:
        await lab.history.add_import(id, tool, text)
    except Invalid as error:
        return run_page(id, request, lab, 422, tool=tool, text=text, problem=error.detail)
    return RedirectResponse(f"/runs/{id}#foreign", 303)


@router.post("/runs/{id}/foreign/{which}/delete")
async def delete_import(id: int, which: int, lab: LabDep) -> RedirectResponse:
    """Delete an imported result and redirect to the run."""
    await lab.history.delete_import(id, which)
    return RedirectResponse(f"/runs/{id}#foreign", 303)
