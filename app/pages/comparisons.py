"""The pages of comparisons: the list with the form, one comparison, the confirmation of its deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid, LabError
from app.lab import Lab
from app.pages import compare_form
from app.pages.responses import FormDep, TypedDep, page
from app.report import comparison_charts
from app.report.exclusions import shared_reasons
from app.schemas.comparison import ComparisonView
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LISTED_MAX = 100


@router.get("/comparisons")
async def comparisons(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page with the form and the newest comparisons."""
    return await _list_page(request, lab)


async def _list_page(
    request: Request,
    lab: Lab,
    status: int = 200,
    values: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> HTMLResponse:
    form = compare_form.form_of(lab, values, problems)
    listed = await lab.comparisons.history(LISTED_MAX)
    total = await asyncio.to_thread(lab.comparisons.count)
    return page(request, "pages/comparisons.html", status, comparisons=listed, total=total, form=form)


@router.post("/comparisons")
async def submit(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Queue a comparison and redirect to its page; with 422, return the form with its problems."""
    lines = compare_form.form_of(lab)
    try:
        view = await lab.comparisons.submit(compare_form.comparison_request(form, lines))
    except LabError as error:
        invalid = error if isinstance(error, Invalid) else None
        return await _list_page(
            request, lab, 422, form, compare_form.problems(invalid, error.detail, form, lines)
        )
    return RedirectResponse(f"/comparisons/{view.id}", 303)


@router.get("/comparisons/{id}")
async def comparison(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of a comparison. Raises Unknown."""
    view = lab.comparisons.get(id)
    percentiles = await asyncio.to_thread(lab.comparisons.percentiles, id)
    return page(
        request,
        "pages/comparison.html",
        view=view,
        unfinished=view.state.is_unfinished,
        run=_current(lab, view),
        intervals=comparison_charts.intervals(view),
        curves=comparison_charts.curves(percentiles),
        rows=comparison_charts.ROWS,
        reasons=shared_reasons(view.runs),
    )


def _current(lab: Lab, view: ComparisonView) -> object:
    """Return the run in progress; None if there is none."""
    return lab.runs.get(view.current) if view.current in lab.runs.active else None


@router.post("/comparisons/{id}/stop")
async def stop(id: int, lab: LabDep) -> RedirectResponse:
    """Stop a comparison, keep its finished trials, and redirect to its page."""
    await lab.comparisons.stop(id)
    return RedirectResponse(f"/comparisons/{id}", 303)


@router.get("/comparisons/{id}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page that asks for confirmation."""
    return page(request, "pages/comparison_delete.html", view=lab.comparisons.get(id))


@router.post("/comparisons/{id}/delete")
async def delete(id: int, lab: LabDep, form: FormDep) -> RedirectResponse:
    """Delete a comparison, with its runs if `runs` is 1, and redirect to the list."""
    await lab.comparisons.delete(id, form.get("runs") == "1")
    return RedirectResponse("/comparisons", 303)
