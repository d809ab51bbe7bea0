"""Error responses that the protocols send themselves, for requests that do not reach the application."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from app.web.problems import problem
from app.web.security import HEADERS

TITLE = "Bad request"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An HTTP status and a sentence for the client."""

    status: int
    detail: str

    def to_bytes(self) -> bytes:
        """Return the whole response: a problem document, all security headers, and `Connection: close`."""
        answer = problem(self.status, TITLE, self.detail, "", "http")
        answer.headers.update({**HEADERS, "Cache-Control": "no-store", "Connection": "close"})
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body)


NOT_HTTP = ErrorResponse(400, "The request is not valid HTTP/1.1.")
