"""The requests that the parser produces, complete or rejected."""

from __future__ import annotations

from dataclasses import dataclass

from engines.common.http.strict import Rejection

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What only an application reads of a request. `version`: `1.1` or `1.0`. `fields`: without blanks."""

    version: str
    fields: tuple[tuple[bytes, bytes], ...]


class Request:
    """One complete request. `keep_alive`: the connection stays open after the response.

    `head` is set by `HeadKeepingParser` only.
    """

    __slots__ = ("body", "head", "keep_alive", "method", "simple", "target")
    head: Head
    rejection: Rejection | None = None
    announces_keep_alive = False  # the response must have `Connection: keep-alive`

    def __init__(self, method: bytes, target: bytes, body: bytes, keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.body = body
        self.keep_alive = keep_alive
        self.simple = False  # GET by HTTP/1.1 without body and `Connection`: a prebuilt response may be sent


class Http10KeepAliveRequest(Request):
    """An HTTP/1.0 request with `Connection: keep-alive`."""

    __slots__ = ()
    announces_keep_alive = True


class RejectedRequest(Request):
    """Stands for rejected input: its response has the reason, and the connection is closed after it."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(b"", b"", b"", keep_alive=False)
        self.rejection = rejection


NO_REQUEST = Request(b"", b"", b"", True)
