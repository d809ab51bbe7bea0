"""The control plane's application: routes, pages, the live socket, and the Lab that they all talk to."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from app.api import comparisons, engines, events, exports, history, models, runs, system
from app.assets import static_files
from app.errors import Invalid, LabError
from app.lab import Lab
from app.live import socket
from app.live.hub import Hub
from app.metrics import Metrics
from app.pages import comparisons as comparison_pages
from app.pages import history as history_pages
from app.pages import lessons, routes
from app.pages.environment import page_environment
from app.store.database import error_reason
from app.web import problems
from app.web.deps import API, known_query
from app.web.security import Door, cut
from app.web.tokens import Tokens


def create_app(lab: Lab, tokens: Tokens) -> FastAPI:
    """The application of a lab that was opened; it is entered and left with it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(app.openapi)  # made once: two at a time would disturb each other
        async with lab:
            app.state.lab, app.state.metrics, app.state.tokens = lab, Metrics(lab), tokens
            app.state.hub = Hub(lab, app.state.metrics)
            lab.keep_going(app.state.hub.run())
            yield

    app = FastAPI(
        title="Thread Model Lab",
        version="1",
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        responses=problems.documented(),
        docs_url=None,
        redoc_url=None,
    )
    app.state.templates = page_environment(lab.settings.root_path)
    api = (models, engines, history, runs, exports, comparisons, events, system)
    for router in (each.router for each in api):
        app.include_router(router, prefix=API, dependencies=[Depends(known_query)])
    pages = (comparison_pages, history_pages, routes, lessons)
    for router in (system.health, socket.router, *(each.router for each in pages)):
        app.include_router(router)
    app.mount("/static", static_files())
    app.add_exception_handler(LabError, _lab_error)
    app.add_exception_handler(SQLAlchemyError, _history_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Door, hosts=lab.settings.hosts, tokens=tokens, root=lab.settings.root_path)
    return app


async def _lab_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LabError)
    if _for_programs(request):
        return problems.of_lab(error, request.url.path)
    return _error_page(request, error.status, error.title, error.detail)


async def _history_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    return await _lab_error(
        request, LabError(f"The history did not take it, or could not be read: {error_reason(error)}.")
    )


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _lab_error(request, problems.of_validation(error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if (
        error.status_code == HTTPStatus.BAD_REQUEST
    ):  # a body that is no text at all, or more than a form may be
        return await _lab_error(request, _unread(request, error.detail))
    title = HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {cut(request.url.path)}: {title.lower()}."
    if _for_programs(request):
        answer: Response = problems.problem(error.status_code, title, detail, request.url.path, "http")
    else:
        answer = _error_page(request, error.status_code, title, detail)
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _methods(request)):
        answer.headers["Allow"] = ", ".join(allowed)
    return answer


def _unread(request: Request, detail: str) -> Invalid:
    if _for_programs(request):
        return Invalid.field("", "The body is not JSON that can be read.")
    return Invalid(f"The form was not taken. {detail.rstrip('.')}.")


def _methods(request: Request) -> list[str]:
    """Every method that a path of the API has; a router knows only those of the route that it found first."""
    for template, calls in request.app.openapi()["paths"].items():
        pattern = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}", template)))
        if re.fullmatch(pattern, request.url.path):
            return sorted(method.upper() for method in calls)
    return []


def _for_programs(request: Request) -> bool:
    path = request.url.path
    return path.startswith(("/api/v1", "/healthz", "/readyz", "/metrics", "/static"))


def _error_page(request: Request, status: int, title: str, detail: str) -> Response:
    return routes.page(request, "pages/error.html", status, status=status, title=title, detail=detail)
