"""Runs: submitted by the load form, followed in the run strip, shown, repeated and deleted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import LabError, NotNow
from app.imports import side_by_side
from app.lab import Lab
from app.pages import load_form, time_range, workbench
from app.pages.responses import TypedDep, block, by_htmx, page
from app.pages.time_range import WHOLE, RangeForm
from app.plans.fields import used_fields
from app.plans.scenarios import SCENARIOS
from app.report.search_chart import search_chart
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.schemas.states import RunState
from app.servers.from_shell import needs_shell
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)


@router.post("/runs")
async def submit(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Queue the run of the load form; with 422, return the form with its problems."""
    try:
        view = await load_form.submit(lab, form)
    except LabError as error:
        return await _refused_run(request, lab, form, error)
    if by_htmx(request):
        return _strip(request, lab, view, 201)
    return RedirectResponse(f"/runs/{view.id}", 303)


async def _refused_run(request: Request, lab: Lab, form: dict[str, str], error: LabError) -> Response:
    filled = load_form.refused(lab, form, error)
    if by_htmx(request):
        current = lab.runs.current()
        return block(
            request,
            "load_form",
            422,
            form=filled,
            scenarios=list(SCENARIOS.values()),
            current=current.view if current else None,
        )
    return await workbench.whole_page(request, lab, status=422, form=filled)


@router.get("/runs/current")
async def current_run(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the run strip: the run in progress, else the newest run."""
    newest = next(iter(await lab.runs.history(1)), None)
    return _strip(request, lab, newest)


def _strip(request: Request, lab: Lab, otherwise: RunView | None, status: int = 200) -> HTMLResponse:
    """Return the run strip with the run in progress, or else with `otherwise`."""
    current = lab.runs.current()
    shown = lab.runs.get(current.view.id) if current else otherwise
    waiting = sum(
        run.view.state == RunState.QUEUED
        for run in lab.runs.active.values()
        if not shown or run.view.id != shown.id
    )
    return block(request, "run_strip", status, current=shown, queued=waiting)


@router.post("/runs/{id}/again")
async def run_again(id: int, lab: LabDep) -> RedirectResponse:
    """Run the same plan on a new engine with the same knobs, and the same hot swap. Raises NotNow."""
    before = lab.runs.get(id)
    if before.beside:
        raise NotNow(
            f"Run {id} was one of several parallel runs and cannot be repeated alone. Start them together."
        )
    request = RunRequest(
        model=before.model,
        knobs=before.knobs,
        scenario=before.scenario if before.scenario in SCENARIOS else None,
        plan=used_fields(before.plan, str(before.plan["executor"])),
        thresholds=[each.text for each in before.thresholds],
        label=load_form.label_of(before),
        then=[asdict(each) for each in before.then],
    )
    view = await lab.runs.submit(request)
    return RedirectResponse(f"/runs/{view.id}", 303)


@router.post("/runs/{id}/stop")
async def stop_run(id: int, request: Request, lab: LabDep) -> Response:
    """Stop a run or remove it from the queue. Raises Unknown."""
    view = lab.runs.stop(id)
    if by_htmx(request):
        return _strip(request, lab, view)
    return RedirectResponse(f"/runs/{id}", 303)


@router.get("/runs/{id}")
async def run(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of a run, with the figures of the part in the query string. Raises Unknown."""
    chosen = await time_range.read(lab, id, request.query_params)
    return run_page(id, request, lab, chosen.status, chosen=chosen)


def run_page(
    id: int, request: Request, lab: Lab, status: int = 200, chosen: RangeForm = WHOLE, **typed: Any
) -> HTMLResponse:
    """Return the page of a run with its imported results.

    `chosen`: the part whose figures are shown. `typed`: the input of an imported result that was rejected.
    """
    view = lab.runs.get(id)
    imported = [(each, side_by_side.compare_figures(each.figures, view)) for each in lab.history.imports(id)]
    return page(
        request,
        "pages/run.html",
        status,
        run=view,
        needs_shell=needs_shell(view),
        trials_chart=search_chart(view.capacity),
        chosen=chosen,
        imported=imported,
        typed=typed,
    )


@router.get("/runs/{id}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page that asks for confirmation."""
    return page(request, "pages/run_delete.html", run=lab.runs.get(id))


@router.post("/runs/{id}/delete")
async def delete(id: int, lab: LabDep) -> RedirectResponse:
    """Delete a run and redirect to the list. Raises NotNow for a run in progress."""
    await lab.runs.delete([id])
    return RedirectResponse("/runs", 303)
