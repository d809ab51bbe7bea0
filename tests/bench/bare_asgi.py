"""The smallest ASGI application with the response of the engines: uvicorn at its fastest, no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
}
BODY = {"type": "http.response.body", "body": b"Hello, World!"}


async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send(HEAD)
    await send(BODY)
