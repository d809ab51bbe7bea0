"""The FastAPI application of the control plane: routes, pages, the live socket, and error responses."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount

from app.api import (
    comparisons,
    engines,
    events,
    experiments,
    exports,
    history,
    hosts,
    models,
    runs,
    servers,
    system,
    tunings,
)
from app.assets import static_files
from app.errors import Invalid, LabError
from app.lab import Lab
from app.live import socket
from app.live.hub import Hub
from app.metrics import Metrics
from app.pages import comparisons as comparison_pages
from app.pages import (
    engine_actions,
    engine_now,
    home,
    host_pages,
    login_page,
    model_pages,
    responses,
    run_pages,
    server_pages,
    system_pages,
    workbench,
)
from app.pages import experiments as experiment_pages
from app.pages import history as history_pages
from app.pages import tunings as tuning_pages
from app.pages.environment import page_environment
from app.store.database import error_reason
from app.web import problems
from app.web.authentication import Authenticator
from app.web.deps import API
from app.web.security import SecurityMiddleware

# Level 6 makes a page of 94 KB as small as level 9 does within 2 %, in half the time.
GZIP_MIN_BYTES, GZIP_LEVEL = 1024, 6
PROGRAM_PATHS = ("/api/v1", "/healthz", "/readyz", "/metrics", "/static")


def create_app(lab: Lab, authenticator: Authenticator) -> FastAPI:
    """Return the application of an opened lab. Its lifespan enters and leaves the lab."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with lab:
            app.state.lab, app.state.metrics = lab, Metrics(lab)
            app.state.authenticator = authenticator
            app.state.hub = Hub(lab, app.state.metrics)
            lab.run_in_background(app.state.hub.run())
            yield

    app = FastAPI(
        routes=_routes(),
        title="Thread Model Lab",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    _describe_once(app)
    root = lab.settings.root_path
    app.state.templates = page_environment(root, lab.launchables.hue)
    app.add_exception_handler(LabError, _on_lab_error)
    app.add_exception_handler(SQLAlchemyError, _on_database_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_MIN_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(SecurityMiddleware, hosts=lab.settings.hosts, authenticator=authenticator, root=root)
    return app


def _describe_once(app: FastAPI) -> None:
    """Build the OpenAPI description when it is first requested: it takes 0.3 to 1.2 s of CPU.

    It is used in threads only, so that building it does not hold the event loop; concurrent requests wait.
    """
    build, lock = app.openapi, threading.Lock()

    def openapi() -> dict[str, Any]:
        with lock:
            return build()

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    def description() -> JSONResponse:
        return JSONResponse(app.openapi())


def _routes() -> list[BaseRoute]:
    """Return all routes, in the order in which they are tried."""
    jobs = (runs, exports, comparisons, experiments, tunings)
    api = [each.router for each in (models, servers, hosts, engines, history, *jobs, events, system)]
    pages = (
        comparison_pages,
        experiment_pages,
        history_pages,
        tuning_pages,
        home,
        workbench,
        engine_actions,
        run_pages,
        login_page,
        system_pages,
        host_pages,
        engine_now,
        model_pages,
        server_pages,
    )
    routers = [*api, system.health, socket.router, *(each.router for each in pages)]
    return [*(route for router in routers for route in router.routes), Mount("/static", static_files())]


async def _on_lab_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LabError)
    if _is_program_path(request):
        return problems.from_lab_error(error, request.url.path)
    return _error_page(request, error.status, error.title, error.detail)


async def _on_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    detail = f"The history could not be read or written: {error_reason(error)}."
    return await _on_lab_error(request, LabError(detail))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _on_lab_error(request, problems.to_invalid(error))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # a body that is not text, or a form that is too large
        return await _on_lab_error(request, _unreadable_body(request, error.detail))
    title = HTTPStatus(error.status_code).phrase.capitalize()
    detail = f"{request.method} {problems.shorten(request.url.path)}: {title.lower()}."
    if _is_program_path(request):
        response: Response = problems.problem(error.status_code, title, detail, request.url.path, "http")
    else:
        response = _error_page(request, error.status_code, title, detail)
    response.headers.update(error.headers or {})
    is_method_wrong = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    if is_method_wrong and (methods := await asyncio.to_thread(_allowed_methods, request)):
        response.headers["Allow"] = ", ".join(methods)
    return response


def _unreadable_body(request: Request, detail: str) -> Invalid:
    if _is_program_path(request):
        return Invalid.field("", "The body is not readable JSON.")
    return Invalid(f"The form cannot be read: {detail.rstrip('.')}.")


def _allowed_methods(request: Request) -> list[str]:
    """Return all methods of an API path; Starlette's header has only those of the first matching route."""
    for template, operations in request.app.openapi()["paths"].items():
        pattern = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}", template)))
        if re.fullmatch(pattern, request.url.path):
            return sorted(method.upper() for method in operations)
    return []


def _is_program_path(request: Request) -> bool:
    """Return whether errors of a path are problem documents and not pages."""
    return request.url.path.startswith(PROGRAM_PATHS)


def _error_page(request: Request, status: int, title: str, detail: str) -> Response:
    return responses.page(request, "pages/error.html", status, status=status, title=title, detail=detail)
