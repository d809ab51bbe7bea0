"""The smallest ASGI application with the responses of the engines: uvicorn at its fastest, no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


def _response(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    head = {"type": "http.response.start", "status": 200, "headers": headers}
    return head, {"type": "http.response.body", "body": body}


RESPONSES = {"/": _response(b"Hello, World!"), "/bytes": _response(b"x" * 4096)}


async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    for message in RESPONSES[scope["path"]]:
        await send(message)
