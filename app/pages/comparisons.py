"""The pages of comparisons: the list with its form, one comparison, and the question before it is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid, LabError
from app.lab import Lab
from app.pages import compare_form
from app.pages.routes import FormDep, TypedDep, page
from app.report import comparison_charts
from app.schemas.comparison import ComparisonView
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LISTED = 100


@router.get("/comparisons")
async def comparisons(request: Request, lab: LabDep) -> HTMLResponse:
    return await _listed(request, lab)


async def _listed(
    request: Request,
    lab: Lab,
    status: int = 200,
    values: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> HTMLResponse:
    form = compare_form.form_of(lab, values, problems)
    listed = await lab.comparisons.history(LISTED)
    total = await asyncio.to_thread(lab.comparisons.count)
    return page(request, "pages/comparisons.html", status, comparisons=listed, total=total, form=form)


@router.post("/comparisons")
async def submit(request: Request, lab: LabDep, form: TypedDep) -> Response:
    lines = compare_form.form_of(lab)
    try:
        view = await lab.comparisons.submit(compare_form.comparison_request(form, lines))
    except LabError as error:
        invalid = error if isinstance(error, Invalid) else None
        return await _listed(
            request, lab, 422, form, compare_form.problems(invalid, error.detail, form, lines)
        )
    return RedirectResponse(f"/comparisons/{view.id}", 303)


@router.get("/comparisons/{id}")
async def comparison(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    view = lab.comparisons.get(id)
    kept = await asyncio.to_thread(lab.comparisons.percentiles, id)
    return page(
        request,
        "pages/comparison.html",
        view=view,
        unfinished=view.state.is_unfinished,
        run=_current(lab, view),
        intervals=comparison_charts.intervals(view),
        curves=comparison_charts.curves(kept),
        rows=comparison_charts.ROWS,
    )


def _current(lab: Lab, view: ComparisonView) -> object:
    """The run that goes, where one does."""
    return lab.runs.get(view.current) if view.current in lab.runs.active else None


@router.post("/comparisons/{id}/stop")
async def stop(id: int, lab: LabDep) -> RedirectResponse:
    await lab.comparisons.stop(id)
    return RedirectResponse(f"/comparisons/{id}", 303)


@router.get("/comparisons/{id}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    return page(request, "pages/comparison_delete.html", view=lab.comparisons.get(id))


@router.post("/comparisons/{id}/delete")
async def delete(id: int, lab: LabDep, form: FormDep) -> RedirectResponse:
    await lab.comparisons.delete(id, form.get("runs") == "1")
    return RedirectResponse("/comparisons", 303)
