"""Refused requests: status, reason, and the response."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from app.web.problems import problem

TITLE = "Request refused"
NEXT_URL_MAX = 2000  # characters of the URL to open after the login


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not handled: an HTTP status and a sentence for the client."""

    status: int
    detail: str
    retry_after_s: int = 0


def refusal_response(refusal: Refusal, scope: Scope, headers: Headers) -> Response:
    """Return a problem document, or for a page without a token a redirect to the login page."""
    wants_html = "text/html" in headers.get("accept", "") and not scope["path"].startswith("/api/v1")
    if refusal.status == 401 and wants_html and scope["method"] == "GET":
        query = scope["query_string"].decode("latin-1")
        url = scope["path"] + (f"?{query}" if query else "")
        is_default = url == "/" or len(url) > NEXT_URL_MAX
        return RedirectResponse("/login" if is_default else f"/login?{urlencode({'next': url})}", 303)
    response = problem(refusal.status, TITLE, refusal.detail, scope["path"], "refused")
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="threadlab"'
    if refusal.retry_after_s:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response
