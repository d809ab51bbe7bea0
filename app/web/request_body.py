"""Reads a request body completely, up to 64 KiB, before the application gets the request."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Receive

BODY_MAX = 64 * 1024


class BodyTooLong(Exception):
    """The body exceeds BODY_MAX."""


async def read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises BodyTooLong, or ClientDisconnect if the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            raise BodyTooLong
        if not message.get("more_body", False):
            return bytes(body)


def is_allowed_length(content_length: str) -> bool:
    """Return whether a Content-Length header is a number up to BODY_MAX."""
    is_number = content_length.isascii() and content_length.isdigit() and len(content_length) < 10
    return is_number and int(content_length) <= BODY_MAX
