"""Login, this machine, and the description of the API."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid
from app.pages import fields
from app.pages.responses import TypedDep, page
from app.web.authentication import Authenticator, session_cookie
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")


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
