"""The handler: the response to a request, the same on every model.

GET /            13 bytes of plaintext          GET /sleep?ms=   blocks (such as a database call)
any /echo        the request body               GET /bytes?n=    that many bytes
GET /cpu?us=     burns CPU, holds the GIL       GET /healthz     `ok`
GET /hash?us=    burns CPU in C, GIL released
"""

from __future__ import annotations

import time
import traceback
from email.utils import formatdate
from urllib.parse import parse_qsl

from engines.common.board.board import BLOCKED, HANDLING, REQUESTS_4XX, REQUESTS_5XX, STATE
from engines.common.board.row import BoardRow
from engines.common.calibration import Calibration, hash_rounds, spin
from engines.common.contract import RequestHandler
from engines.common.http.requests import Request
from engines.common.log import log

CPU_US_MAX = 1_000_000  # of /cpu and /hash
SLEEP_MS_MAX = 10_000
BYTES_MAX = 1024 * 1024
PLAINTEXT = b"Hello, World!"
METHODS = "GET, HEAD, OPTIONS"
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class EarlyResponse(Exception):
    """Ends the handling with this status and a reason: an error, or the response to OPTIONS."""

    def __init__(self, status: int, reason: str, allow: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.allow = allow


class Handler:
    """Turns a request into the bytes of its response. Satisfies `RequestHandler`; thread-safe."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._date_until_s = 0.0
        self._date = self._plaintext = b""
        self.update_date(time.monotonic())
        self.draining = False

    @property
    def date(self) -> str:
        """The value of the `Date` header, as of the last `update_date`."""
        return self._date.decode()

    def load(self) -> None:
        """Do nothing: the work kinds are part of this module."""

    def update_date(self, now_s: float) -> None:
        """Renew the `Date` header if the second has changed. `now_s` is monotonic; call after each wait."""
        if now_s >= self._date_until_s:
            self._new_date(now_s)

    def handle(self, request: Request, row: BoardRow) -> bytes:
        """Return the response to `request`, counted on `row`, whose thread calls this.

        The row's state is BLOCKED while the work sleeps. An exception of the work becomes a 500 and a
        traceback on stderr.
        """
        if request.simple and request.target == b"/" and not self.draining:
            row.requests_2xx += 1
            return self._plaintext
        try:
            body = self._work(request, row)
            row.requests_2xx += 1
            return self._respond(request, 200, body)
        except EarlyResponse as early:
            count(early.status, row)
            text = f"{early}\n".encode() if str(early) else b""
            return self._respond(request, early.status, text, early.allow)
        except Exception:
            return self.fail(request, row)

    def fail(self, request: Request, row: BoardRow) -> bytes:
        """Return a 500 that ends the connection, and write the exception being handled to stderr."""
        log(traceback.format_exc())
        request.keep_alive = False
        count(500, row)
        return self._respond(request, 500, b"the handler failed; see the engine's log\n")

    def _new_date(self, now_s: float) -> None:
        time_s = time.time()
        self._date = formatdate(time_s, usegmt=True).encode()
        head = b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        self._plaintext = head % (self._date, len(PLAINTEXT)) + PLAINTEXT
        self._date_until_s = now_s + 1.0 - time_s % 1.0

    def _respond(self, request: Request, status: int, body: bytes, allow: str = "") -> bytes:
        self.update_date(time.monotonic())
        extra = connection_fields(request, self.draining)
        if allow:
            extra += b"Allow: %b\r\n" % allow.encode()
        head = b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%b\r\n" % (
            status,
            REASONS[status].encode(),
            self._date,
            len(body),
            extra,
        )
        return head if request.method == b"HEAD" else head + body

    def _work(self, request: Request, row: BoardRow) -> bytes:
        if request.rejection:
            status = request.rejection.status
            raise EarlyResponse(status, request.rejection.reason, METHODS if status == 405 else "")
        path, _, query = origin_form(request.target).partition(b"?")
        if path == b"/echo":
            return request.body
        if request.method == b"OPTIONS" and path in (b"*", *_PATHS):
            raise EarlyResponse(200, "", METHODS)
        if path not in _PATHS:
            raise EarlyResponse(404, "try / /echo /cpu?us= /hash?us= /sleep?ms= /bytes?n= /healthz")
        if request.method not in (b"GET", b"HEAD"):
            raise EarlyResponse(405, "only GET and HEAD here; /echo takes any method", METHODS)
        return self._get(path, query, row)

    def _get(self, path: bytes, query: bytes, row: BoardRow) -> bytes:
        if path == b"/":
            return PLAINTEXT
        if path == b"/healthz":
            return b"ok\n"
        if path == b"/sleep":
            ms = _parameter(query, "ms", SLEEP_MS_MAX)
            row.mark[STATE] = BLOCKED
            time.sleep(ms / 1000)
            row.mark[STATE] = HANDLING
            return b"slept %d ms\n" % ms
        if path == b"/bytes":
            return b"x" * _parameter(query, "n", BYTES_MAX)
        us = _parameter(query, "us", CPU_US_MAX)
        if path == b"/cpu":
            spin(round(us * self._calibration.cpu_per_us))
            return b"burnt %d us, holding the GIL\n" % us
        hash_rounds(round(us * self._calibration.hash_per_us))
        return b"hashed for %d us, without the GIL\n" % us


def count(status: int, row: BoardRow) -> None:
    """Count a response other than a prebuilt one, and publish: some threads publish only plain counts."""
    if status < 400:
        row.requests_2xx += 1
    else:
        row.counters[REQUESTS_4XX if status < 500 else REQUESTS_5XX] += 1
    row.publish()


def connection_fields(request: Request, draining: bool) -> bytes:
    """Return the header lines about the connection. Called after the work: a drain may begin during it."""
    if draining:
        request.keep_alive = False
    if not request.keep_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if request.announces_keep_alive else b""


_PATHS = frozenset((b"/", b"/cpu", b"/hash", b"/sleep", b"/bytes", b"/healthz"))


def origin_form(target: bytes) -> bytes:
    """Return the path and query of `http://host/path`, the form that is sent to a proxy."""
    if target[:7].lower() == b"http://":
        host, mark, query = target[7:].partition(b"?")
        slash = host.find(b"/")
        return (host[slash:] if slash >= 0 else b"/") + mark + query
    return target


def _parameter(query: bytes, name: str, maximum: int) -> int:
    """Return the integer parameter `name`, from 0 to `maximum`; raises EarlyResponse (400)."""
    given, _, text = query.decode("latin-1").partition("=")
    if given != name or not text.isdigit():  # several parameters, or escaped ones: parsing costs 1.7 µs
        text = dict(parse_qsl(query.decode("latin-1"))).get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= maximum):
        raise EarlyResponse(400, f"{name} must be a whole number from 0 to {maximum}")
    return int(text)


RESPONSE_LIMIT = 256 * 1024  # bytes


def handle_pending(pending: list[Request], handler: RequestHandler, row: BoardRow) -> tuple[bytes, Request]:
    """Handle the requests of `pending` in order; return their responses and the last request handled.

    Stops at RESPONSE_LIMIT bytes, so a client that pipelines requests without reading cannot fill the memory.
    Handled requests are removed from `pending`; an event loop may append to it meanwhile.
    """
    if len(pending) == 1:
        request = pending.pop(0)
        return handler.handle(request, row), request
    responses: list[bytes] = []
    size = taken = 0
    while taken < len(pending) and size < RESPONSE_LIMIT:
        request = pending[taken]
        responses.append(handler.handle(request, row))
        size += len(responses[-1])
        taken += 1
        if not request.keep_alive:
            break  # the response has `Connection: close`
    del pending[:taken]
    return b"".join(responses), request
