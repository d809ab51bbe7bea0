"""Exports of runs, comparisons and experiments as files. One route per entry of the lists in app/report.

All are attachments: the style of a report is inline, which the Content-Security-Policy of the application
forbids on its own pages.
"""

from __future__ import annotations

import asyncio

from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.api.router import api_router
from app.report import comparison_exports, experiment_exports, run_exports
from app.report.export import Export
from app.web.deps import LabDep

router = api_router()


class CsvResponse(Response):
    """A CSV file."""

    media_type = "text/csv"


class XmlResponse(Response):
    """An XML document."""

    media_type = "application/xml"


class JsonTextResponse(JSONResponse):
    """A JSON document that is text already, written in a thread: a long run has several MiB."""

    def render(self, content: str) -> bytes:
        """Return the text as bytes."""
        return content.encode()


RESPONSES: dict[str, type[Response]] = {
    "application/json": JsonTextResponse,
    "application/xml": XmlResponse,
    "text/csv": CsvResponse,
    "text/html": HTMLResponse,
}


def _add_route(export: Export) -> None:
    response_class = RESPONSES[export.media_type]

    async def download(id: int, lab: LabDep) -> Response:
        text = await asyncio.to_thread(export.make, lab, id)
        file_name = export.file_name(id)
        return response_class(text, headers={"Content-Disposition": f'attachment; filename="{file_name}"'})

    router.add_api_route(
        f"/{export.noun}s/{{id}}/{export.name}",
        download,
        methods=["GET"],
        name=export.name,
        description=export.description,
        response_class=response_class,
        tags=[f"{export.noun}s"],
    )


for each in (*run_exports.EXPORTS, *comparison_exports.EXPORTS, *experiment_exports.EXPORTS):
    _add_route(each)
