"""The response of an application: collected as a whole, and checked, before its first byte is sent."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any

from engines.common.wsgi.application import Application
from engines.common.wsgi.environ import Environ

BODY_LIMIT = 16 * 1024 * 1024  # bytes of a response
# Fields that the engine sets, because they are about this connection or follow from the body.
ENGINE_FIELDS = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "content-length")
)
NAME_CHARACTERS = frozenset("!#$%&'*+-.^_`|~" + string.ascii_letters + string.digits)  # RFC 9110, 5.6.2
Fields = list[tuple[str, str]]


class InvalidResponse(Exception):
    """What the application returned cannot be sent. The message is the reason."""


class Response:
    """The response of one call of an application. `call` fills it.

    - `status`: code and reason. `fields`: those of the application that are sent.
    - `length`: a number, what the application gave as Content-Length; empty: nothing.
    - `body`: the whole body.
    """

    __slots__ = ("_parts", "_size", "body", "fields", "length", "status")

    def __init__(self) -> None:
        self.status = self.length = ""
        self.fields: Fields = []
        self.body = b""
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])

    def call(self, application: Application, environ: Environ) -> None:
        """Call the application and collect its response. Raises InvalidResponse, and what it raises."""
        parts = application(environ, self._start)
        try:
            self._collect(parts)
        finally:
            if close := getattr(parts, "close", None):
                close()
        self.body = b"".join(self._parts)
        if self.body and self.length and int(self.length) != len(self.body):
            raise InvalidResponse(f"the body has {len(self.body)} bytes, but Content-Length is {self.length}")

    def _collect(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self._write(part)
        if not self.status:
            raise InvalidResponse("the application did not call start_response")

    def _write(self, part: bytes) -> None:
        if not isinstance(part, bytes):
            raise InvalidResponse(f"the body has {type(part).__name__} in place of bytes")
        if part and not self.status:
            raise InvalidResponse("the body begins before start_response was called")
        self._size += len(part)
        if self._size > BODY_LIMIT:
            raise InvalidResponse(f"the body is larger than {BODY_LIMIT >> 20} MiB")
        self._parts.append(part)

    def _start(self, status: str, headers: Fields, exc_info: Any = None) -> Any:
        """Take status and header fields: `start_response` of PEP 3333. Nothing has been sent yet."""
        if self.status and exc_info is None:
            raise InvalidResponse("start_response was called twice")
        self._parts, self._size = [], 0  # an error replaces what was begun
        if not _is_status(status):
            raise InvalidResponse(f"{status!r} is not a status")
        length, fields = "", []
        for name, value in headers:
            if not (isinstance(value, str) and _is_name(name) and _is_line(value)):
                raise InvalidResponse(f"the header field {name!r} is malformed")
            if name.lower() == "content-length":
                length = value if value.isascii() and value.isdigit() else ""
            elif name.lower() not in ENGINE_FIELDS:
                fields.append((name, value))
        self.status, self.length, self.fields = status, length, fields
        return self._write


def _is_status(text: str) -> bool:
    """Return whether a text is the status of a final response, such as `404 Not Found`."""
    return text[:1] in ("2", "3", "4", "5") and text[1:3].isdigit() and text[3:4] == " " and _is_line(text)


def _is_name(text: str) -> bool:
    return bool(text) and NAME_CHARACTERS.issuperset(text)


def _is_line(text: str) -> bool:
    """Return whether a text has no control character, by which it could begin another line."""
    return text.isprintable() or not any((c < " " and c != "\t") or c == "\x7f" for c in text)
