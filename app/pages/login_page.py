"""The login page: exchanges the access token for a session cookie."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Invalid
from app.pages.field_lengths import check_lengths, length_max
from app.pages.responses import TypedDep, page
from app.web.authentication import Authenticator, session_cookie

router = APIRouter(include_in_schema=False)
_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")


@router.get("/login")
async def login_page(request: Request, used: bool = False, next: str = "/") -> HTMLResponse:
    """Return the login page. `used`: the login link was used or has expired; `next`: where to go then."""
    problem = "This login link has expired or was already used." if used else ""
    return page(request, "pages/login.html", problem=problem, next=_local_path(next))


def _local_path(path: str) -> str:
    """Return `path` if it is a path of this lab, else `/`: no redirect may leave the lab."""
    return path if len(path) <= length_max("next") and _OWN_PATH.fullmatch(path) else "/"


@router.post("/login")
async def login(request: Request, form: TypedDep) -> Response:
    """Exchange the access token for a session cookie; 401 for an invalid one, 429 after too many."""
    authenticator: Authenticator = request.app.state.authenticator
    address = request.client.host if request.client else "unknown"
    to = _local_path(form.get("next", "/"))
    try:
        check_lengths(form)
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
