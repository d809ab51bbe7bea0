"""The page of an external server: its command, knobs and application, its threads and its processes."""

from __future__ import annotations

import shlex

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app import addresses
from app.fleet.engine import Engine
from app.lab import Lab
from app.pages.engine_now import engine_context
from app.pages.responses import block, page
from app.pages.source import highlight_file
from app.schemas.process import ProcessesView
from app.servers.definition import WSGI, fill, placeholders
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
PAGE = "pages/server.html"


@router.get("/servers/{name}")
async def server(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page of an external server. Raises Unknown."""
    made = lab.servers.definition(name)
    views = list(lab.servers.definitions.values())
    index, application = views.index(made), lab.servers.application(name)
    return page(
        request,
        PAGE,
        application=application,
        source=highlight_file(*application) if application else "",
        command=_command(lab, name),
        running=_serving(lab, name) is not None,
        like=lab.models.views.get(made.model),
        processes=_processes(lab, name),
        previous=views[index - 1] if index else None,
        next=views[index + 1] if index + 1 < len(views) else None,
        **engine_context(lab, name),
    )


@router.get("/servers/{name}/processes")
async def processes(name: str, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the block with the processes of the newest engine. Raises Unknown."""
    lab.servers.definition(name)
    context = engine_context(lab, name)
    return block(request, "processes", page=PAGE, processes=_processes(lab, name), **context)


def _processes(lab: Lab, name: str) -> ProcessesView | None:
    """Return the processes of the newest engine that serves; None if there is none."""
    engine = _serving(lab, name)
    return lab.fleet.processes(engine.id) if engine else None


def _serving(lab: Lab, name: str) -> Engine | None:
    """Return the newest engine of a server that serves; None if there is none."""
    serving = [e for e in lab.fleet.engines.values() if e.name == name and e.state.is_serving]
    return serving[-1] if serving else None


def _command(lab: Lab, name: str) -> str:
    """Return the command as it runs, or as it would with default knobs; unknown values are placeholders."""
    made, engine = lab.servers.definition(name), _serving(lab, name)
    values: dict[str, object] = dict(engine.knobs if engine else made.parse_knobs({}))
    if engine:
        values |= {"host": engine.host, "port": engine.port}
        values["address"] = f"{addresses.bracketed(engine.host)}:{engine.port}"
    argv = (fill(each, {**values, "python": lab.settings.engine_python, "wsgi": WSGI}) for each in made.argv)
    return " ".join(each if placeholders(each) else shlex.quote(each) for each in argv)
