"""The work kinds as a WSGI application: `python -m gunicorn app.servers.apps.wsgi_app:application`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from app.servers.apps import work

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Serve one request; the thread that calls this is blocked until the response is made."""
    status, body = respond(environ)
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def respond(environ: dict[str, Any]) -> tuple[str, bytes]:
    """Return status and body."""
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    try:
        if path == "/echo":
            return "200 OK", environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if path == "/sleep":
            time.sleep(work.sleep_s(query))
        body = work.body(path, query)
        return ("404 Not Found", b"not found\n") if body is None else ("200 OK", body)
    except work.BadRequest as error:
        return "400 Bad Request", f"{error}\n".encode()
