"""Answers without the application: whole responses, for what does not reach it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from app.api.problems import problem
from app.security import HEADERS

TITLE = "Not a request that can be served"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, and one sentence for the client."""

    status: int
    detail: str

    def response(self) -> bytes:
        """The response, with a problem document and the headers of every answer; the connection closes after it."""
        answer = problem(self.status, TITLE, self.detail, "", "http")
        answer.headers.update({**HEADERS, "Cache-Control": "no-store", "Connection": "close"})
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body)


NOT_HTTP = Refusal(400, "That is not HTTP/1.1.")
