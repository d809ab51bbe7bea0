"""The work kinds as an ASGI application: `python -m uvicorn app.servers.apps.asgi_app:application`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.servers.apps import work

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve one request. `/cpu` and `/hash` block the event loop; `/sleep` gives it free."""
    status, body = await respond(scope, receive)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond(scope: dict[str, Any], receive: Receive) -> tuple[int, bytes]:
    """Return status and body."""
    path, query = scope["path"], scope["query_string"].decode("latin-1")
    try:
        if path == "/echo":
            return 200, await received(receive)
        if path == "/sleep":
            await asyncio.sleep(work.sleep_s(query))
        body = work.body(path, query)
        return (404, b"not found\n") if body is None else (200, body)
    except work.BadRequest as error:
        return 400, f"{error}\n".encode()


async def received(receive: Receive) -> bytes:
    """Return the whole body of the request."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
