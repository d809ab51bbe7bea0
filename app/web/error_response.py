"""Error responses that the protocols send themselves to requests that do not reach the application."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from app.web.problems import problem
from app.web.response_headers import SECURITY_HEADERS

TITLE = "Bad request"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An HTTP status and a sentence for the client."""

    status: int
    detail: str

    def to_bytes(self) -> bytes:
        """Return the whole response: a problem document with security headers and `Connection: close`."""
        response = problem(self.status, TITLE, self.detail, "", "http")
        response.headers.update({**SECURITY_HEADERS, "Cache-Control": "no-store", "Connection": "close"})
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)


NOT_HTTP = ErrorResponse(400, "The request is not valid HTTP/1.1.")
