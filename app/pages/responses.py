"""What the routes of pages share: the fields of forms, whole pages, and blocks for HTMX."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from app.errors import Invalid
from app.pages.field_lengths import NAME_MAX, check_lengths
from app.templating import render_block

WORKBENCH = "pages/workbench.html"


async def _typed(request: Request) -> dict[str, str]:
    """Return the form fields, without files. Routes that report a long text at its field check the length."""
    async with request.form(max_files=0, max_fields=100) as form:
        found = {name: value for name, value in form.items() if isinstance(value, str)}
    if any(len(name) > NAME_MAX for name in found):
        raise Invalid(f"The name of a field is at most {NAME_MAX} characters.")
    return found


TypedDep = Annotated[dict[str, str], Depends(_typed)]


async def _bounded(typed: TypedDep) -> dict[str, str]:
    """Return the form fields; raise Invalid if one is too long."""
    check_lengths(typed)
    return typed


FormDep = Annotated[dict[str, str], Depends(_bounded)]


def page(request: Request, template: str, code: int = 200, **context: Any) -> HTMLResponse:
    """Return a rendered page. `code`: HTTP status; `context`: the variables of the template."""
    event = getattr(request.state, "event", "")
    return HTMLResponse(request.app.state.templates.get_template(template).render(context, event=event), code)


def block(
    request: Request, name: str, status: int = 200, page: str = WORKBENCH, **context: Any
) -> HTMLResponse:
    """Return one block of a page, by default of the workbench, for a swap by HTMX."""
    return HTMLResponse(render_block(request.app.state.templates, page, name, context), status)


def by_htmx(request: Request) -> bool:
    """Whether HTMX sent the request."""
    return request.headers.get("hx-request") == "true"
