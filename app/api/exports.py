"""A run as files: series as CSV, thresholds as JUnit, everything as one JSON, a report as HTML, a trace for Perfetto.

All are attachments: the report's style is inside it, which the lab's own Content-Security-Policy would not show.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.lab import Lab
from app.report.exports import BUNDLE, CSV, JUNIT, PERFETTO, REPORT, Export
from app.web.deps import LabDep

router = APIRouter(prefix="/runs/{id}", tags=["runs"])


class CsvResponse(Response):
    media_type = "text/csv"


class XmlResponse(Response):
    media_type = "application/xml"


class JsonTextResponse(JSONResponse):
    """JSON that is text already: made in a thread, for a long run's is some MiB."""

    def render(self, content: str) -> bytes:
        return content.encode()


@router.get("/csv", response_class=CsvResponse)
async def csv(id: int, lab: LabDep) -> Response:
    """The series as CSV, a row a second; an empty cell is unknown."""
    return await as_file(CSV, CsvResponse, lab, id)


@router.get("/junit", response_class=XmlResponse)
async def junit(id: int, lab: LabDep) -> Response:
    """Its thresholds as JUnit test cases; a breached one is a failure."""
    return await as_file(JUNIT, XmlResponse, lab, id)


@router.get("/report", response_class=HTMLResponse)
async def report(id: int, lab: LabDep) -> Response:
    """One HTML file with verdict, charts and tables; it needs nothing else, and runs no script."""
    return await as_file(REPORT, HTMLResponse, lab, id)


@router.get("/perfetto", response_class=JsonTextResponse)
async def perfetto(id: int, lab: LabDep) -> Response:
    """A Chrome trace, for ui.perfetto.dev: its counters, and of a traced run every change of a thread's state."""
    return await as_file(PERFETTO, JsonTextResponse, lab, id)


@router.get("/bundle", response_class=JsonTextResponse)
async def bundle(id: int, lab: LabDep) -> Response:
    """Everything that is kept of it in one JSON: view, series, percentiles, all histograms."""
    return await as_file(BUNDLE, JsonTextResponse, lab, id)


async def as_file(export: Export, kind: type[Response], lab: Lab, id: int) -> Response:
    """What an export makes, as an attachment."""
    text = await asyncio.to_thread(export.make, lab, id)
    return kind(text, headers={"Content-Disposition": f'attachment; filename="{export.file_name(id)}"'})
