"""The pages of tunings: the list with the form, one tuning, the confirmation of its deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid, LabError
from app.lab import Lab
from app.pages import tuning_form
from app.pages.responses import FormDep, TypedDep, page
from app.pages.tuning_plot import tuning_plot
from app.schemas.states import Answer
from app.schemas.tuning import TuningView
from app.tunings.values import value_name
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LISTED_MAX = 100
WITHIN_WORDS = {
    Answer.HOLDS: "yes",
    Answer.DOES_NOT_HOLD: "no",
    Answer.TOO_CLOSE: "too close to call",
    Answer.LEANS_HOLDS: "leans to yes",
    Answer.LEANS_DOES_NOT_HOLD: "leans to no",
    Answer.UNCLEAR: "unclear",
}


@router.get("/tunings")
async def tunings(request: Request, lab: LabDep, model: str = "", knob: str = "") -> HTMLResponse:
    """Return the page with the form and the newest tunings. `model`, `knob`: what the form selects."""
    given = {name: value for name, value in (("model", model), ("knob", knob)) if value}
    return await _list_page(request, lab, values=given or None)


async def _list_page(
    request: Request,
    lab: Lab,
    status: int = 200,
    values: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> HTMLResponse:
    form = await asyncio.to_thread(tuning_form.form_of, lab, values, problems)
    listed = await lab.tunings.history(LISTED_MAX)
    total = await asyncio.to_thread(lab.tunings.count)
    return page(request, "pages/tunings.html", status, tunings=listed, total=total, form=form)


@router.post("/tunings")
async def submit(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Queue a tuning and redirect to its page; with 422, return the form with its problems."""
    try:
        view = await lab.tunings.submit(tuning_form.tuning_request(form))
    except LabError as error:
        invalid = error if isinstance(error, Invalid) else None
        return await _list_page(request, lab, 422, form, tuning_form.problems(invalid, error.detail))
    return RedirectResponse(f"/tunings/{view.id}", 303)


@router.get("/tunings/{id}")
async def tuning(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of a tuning. Raises Unknown."""
    view = lab.tunings.get(id)
    return page(
        request,
        "pages/tuning.html",
        view=view,
        unfinished=view.state.is_unfinished,
        run=_current(lab, view),
        names=[value_name(view.knob, view.unit, value) for value in view.values],
        within_words=WITHIN_WORDS,
        wide=tuning_plot(view),
        narrow=tuning_plot(view, narrow=True),
    )


def _current(lab: Lab, view: TuningView) -> object:
    """Return the run in progress; None if there is none."""
    return lab.runs.get(view.current) if view.current in lab.runs.active else None


@router.post("/tunings/{id}/stop")
async def stop(id: int, lab: LabDep) -> RedirectResponse:
    """Stop a tuning, keep its finished runs, and redirect to its page."""
    await lab.tunings.stop(id)
    return RedirectResponse(f"/tunings/{id}", 303)


@router.get("/tunings/{id}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page that asks for confirmation."""
    return page(request, "pages/tuning_delete.html", view=lab.tunings.get(id))


@router.post("/tunings/{id}/delete")
async def delete(id: int, lab: LabDep, form: FormDep) -> RedirectResponse:
    """Delete a tuning, with its runs if `runs` is 1, and redirect to the list."""
    await lab.tunings.delete(id, form.get("runs") == "1")
    return RedirectResponse("/tunings", 303)
