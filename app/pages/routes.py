"""The lab page, runs, login and system pages.

Each works as a plain form (POST → 303). A request by HTMX gets the block that changed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid, LabError, NotNow, StartFailed
from app.imports import side_by_side
from app.lab import Lab
from app.pages import fields, forms, load_form
from app.plans.scenarios import SCENARIOS
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.schemas.states import RunState
from app.templating import render_block
from app.web.authentication import Authenticator, session_cookie
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
LAB_PAGE = "pages/lab.html"
LAST_RUNS = 5
_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")


async def _typed(request: Request) -> dict[str, str]:
    """Return the form fields, without files. Routes that report a long text at its field check the length."""
    async with request.form(max_files=0, max_fields=100) as form:
        found = {name: value for name, value in form.items() if isinstance(value, str)}
    if any(len(name) > fields.NAME_MAX for name in found):
        raise Invalid(f"The name of a field is at most {fields.NAME_MAX} characters.")
    return found


TypedDep = Annotated[dict[str, str], Depends(_typed)]


async def _bounded(typed: TypedDep) -> dict[str, str]:
    """Return the form fields; raise Invalid if one is too long."""
    fields.check_lengths(typed)
    return typed


FormDep = Annotated[dict[str, str], Depends(_bounded)]


def page(request: Request, template: str, code: int = 200, **context: Any) -> HTMLResponse:
    """Return a rendered page. `code`: HTTP status; `context`: the variables of the template."""
    event = getattr(request.state, "event", "")
    return HTMLResponse(request.app.state.templates.get_template(template).render(context, event=event), code)


def block(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Return one block of the lab page, for a swap by HTMX."""
    return HTMLResponse(render_block(request.app.state.templates, LAB_PAGE, name, context), status)


def by_htmx(request: Request) -> bool:
    """Whether HTMX sent the request."""
    return request.headers.get("hx-request") == "true"


@router.get("/")
async def lab_page(
    request: Request, lab: LabDep, watch: str | None = None, again: int | None = None
) -> HTMLResponse:
    """Return the lab page. `watch`: engine in the live view; `again`: run that fills the load form."""
    given: dict[str, Any] = {} if again is None else {"form": load_form.again(lab, lab.runs.get(again))}
    return await _lab_page(request, lab, watch, **given)


async def _lab_page(
    request: Request, lab: Lab, watch: str | None = None, status: int = 200, **given: Any
) -> HTMLResponse:
    current = lab.runs.current()
    context = {
        "cards": [forms.card(lab, name, watch) for name in lab.models.views],
        "system": lab.system,
        "scenarios": list(SCENARIOS.values()),
        "runs": await lab.runs.history(LAST_RUNS),
        "current": lab.runs.get(current.view.id) if current else None,
        "queued": max(0, len(lab.runs.active) - 1),
        "form": load_form.empty(lab),
        "watched": watch if watch in lab.fleet.engines else None,
        **given,
    }
    return page(request, LAB_PAGE, status, **context)


@router.get("/live")
async def live_page(request: Request) -> HTMLResponse:
    """Return the side-by-side live view."""
    return page(request, "pages/live.html")


@router.get("/cards/{model}")
async def card(model: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the card of a model. Raises Unknown."""
    return block(request, "card", card=forms.card(lab, model, None))


@router.post("/engines")
async def start(request: Request, lab: LabDep, form: TypedDep) -> Response:
    """Start an engine with the knobs of the card; with 422, return the card with its problems."""
    model, typed = form.get("model", ""), forms.typed_knobs(form)
    lab.models.get(model)
    try:
        fields.check_lengths(form)
        await lab.fleet.start(model, typed)
    except StartFailed:
        pass  # the card shows the reason and the last lines of stderr
    except LabError as error:
        return await _refused_start(request, lab, model, typed, error)
    if by_htmx(request):
        return block(request, "card", card=forms.card(lab, model, None))
    return RedirectResponse("/", 303)


async def _refused_start(
    request: Request, lab: Lab, model: str, typed: dict[str, str], error: LabError
) -> Response:
    as_invalid = error if isinstance(error, Invalid) else Invalid(error.detail)
    refused = forms.card(lab, model, None, typed, as_invalid)
    if by_htmx(request):
        return block(request, "card", 422, card=refused)
    cards = [refused if name == model else forms.card(lab, name, None) for name in lab.models.views]
    return await _lab_page(request, lab, status=422, cards=cards)


@router.post("/engines/stop-all")
async def stop_all(request: Request, lab: LabDep) -> Response:
    """Stop every running engine."""
    alive = [engine.id for engine in lab.fleet.engines.values() if engine.alive]
    await asyncio.gather(*(lab.fleet.stop(id) for id in alive))
    if by_htmx(request):
        return block(request, "cards", cards=[forms.card(lab, name, None) for name in lab.models.views])
    return RedirectResponse("/", 303)


@router.post("/engines/{id}/stop")
async def stop(id: str, request: Request, lab: LabDep, form: FormDep) -> Response:
    """Stop an engine, at once if `force` is 1. Raises Unknown."""
    engine = lab.fleet.engine(id)
    await begin_stop(lab, id, form.get("force") == "1")
    if by_htmx(request):
        return block(request, "card", card=forms.card(lab, engine.model.name, None))
    return RedirectResponse("/", 303)


async def begin_stop(lab: Lab, id: str, force: bool) -> None:
    """Begin to stop an engine, and wait at most 0.3 s: meanwhile the page shows that it drains."""
    stopping = asyncio.create_task(lab.fleet.stop(id, force))
    await asyncio.wait([stopping], timeout=None if force else 0.3)
    lab.fleet.keep_task(stopping)


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
    return await _lab_page(request, lab, status=422, form=filled)


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
        plan=before.plan,
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
    """Return the page of a run. Raises Unknown."""
    return run_page(id, request, lab)


def run_page(id: int, request: Request, lab: Lab, status: int = 200, **typed: Any) -> HTMLResponse:
    """Return the page of a run with its imported results. `typed`: the input of one that was rejected."""
    view = lab.runs.get(id)
    imported = [(each, side_by_side.compare_figures(each.figures, view)) for each in lab.history.imports(id)]
    return page(request, "pages/run.html", status, run=view, imported=imported, typed=typed)


@router.get("/runs/{id}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page that asks for confirmation."""
    return page(request, "pages/run_delete.html", run=lab.runs.get(id))


@router.post("/runs/{id}/delete")
async def delete(id: int, lab: LabDep) -> RedirectResponse:
    """Delete a run and redirect to the list. Raises NotNow for a run in progress."""
    await lab.runs.delete([id])
    return RedirectResponse("/runs", 303)


@router.get("/about")
async def about(request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page about this machine, with its warnings."""
    return page(request, "pages/system.html", system=lab.system)


@router.get("/login")
async def login_page(request: Request, used: bool = False, next: str = "/") -> HTMLResponse:
    """Return the login page. `used`: the login link was used or has expired; `next`: where to go then."""
    problem = "This login link has expired or was already used." if used else ""
    return page(request, "pages/login.html", problem=problem, next=_local_path(next))


def _local_path(path: str) -> str:
    """Return `path` if it is a path of this lab, else `/`: no redirect may leave the lab."""
    return path if len(path) <= fields.length_max("next") and _OWN_PATH.fullmatch(path) else "/"


@router.post("/login")
async def login(request: Request, form: TypedDep) -> Response:
    """Exchange the access token for a session cookie; 401 for an invalid one, 429 after too many."""
    authenticator: Authenticator = request.app.state.authenticator
    address = request.client.host if request.client else "unknown"
    to = _local_path(form.get("next", "/"))
    try:
        fields.check_lengths(form)
    except Invalid as error:
        return page(request, "pages/login.html", 422, problem=error.detail, next=to)
    if authenticator.required and not authenticator.is_valid_token(form.get("token", "").strip()):
        if wait_s := authenticator.retry_after_s(address):
            problem = f"Too many invalid tokens from this address. Try again in {wait_s} s."
            return page(request, "pages/login.html", 429, problem=problem, next=to)
        authenticator.record_failure(address)
        return page(request, "pages/login.html", 401, problem="Invalid token.", next=to)
    response = RedirectResponse(to, 303)
    response.headers["Set-Cookie"] = session_cookie(
        authenticator.new_session(), request.app.state.lab.settings.root_path
    )
    return response


@router.get("/api/docs")
async def api_docs(request: Request) -> HTMLResponse:
    """Return the API page, rendered from the OpenAPI description."""
    base = str(request.base_url).rstrip("/") + request.app.state.lab.settings.root_path
    return page(request, "pages/api.html", spec=request.app.openapi(), base=base)
