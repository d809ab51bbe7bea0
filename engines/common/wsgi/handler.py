"""The handler that calls the user's application. Models use it as they use the lab's own handler."""

from __future__ import annotations

import os
import time

from engines.common.board.row import BoardRow
from engines.common.handler import Handler, connection_fields, count
from engines.common.http.requests import Request
from engines.common.log import log
from engines.common.process.threads import exit_at_once
from engines.common.wsgi.application import Application, ApplicationSpec
from engines.common.wsgi.environ import Environ, request_environ
from engines.common.wsgi.forks import separate_forks
from engines.common.wsgi.response import Response

WITHOUT_BODY = frozenset((204, 304))


class ApplicationHandler:
    """Turns a request into the bytes of the application's response. Satisfies `RequestHandler`; thread-safe.

    `lab_handler`: responds to input that is not a request, and when the application fails.
    `server`: see `server_environ`.
    """

    def __init__(self, spec: ApplicationSpec, lab_handler: Handler, server: Environ) -> None:
        self._spec = spec
        self._lab_handler = lab_handler
        self._server = server
        self._application: Application | None = None
        self._pid = 0

    @property
    def draining(self) -> bool:
        """Whether the engine must stop: every response then has `Connection: close`."""
        return self._lab_handler.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._lab_handler.draining = value

    def load(self) -> None:
        """Import the application, in the process that serves it. Raises CannotLoad."""
        separate_forks(int(self._server["SERVER_PORT"]))
        self._application, self._pid = self._spec.load(), os.getpid()

    def update_date(self, now_s: float) -> None:
        """Renew the `Date` header if the second has changed."""
        self._lab_handler.update_date(now_s)

    def handle(self, request: Request, row: BoardRow) -> bytes:
        """Return the response to `request`, counted on `row`. An exception becomes a 500, and a traceback.

        A process that the application has forked, and which returns from the call, ends here.
        """
        if request.rejection:
            return self._lab_handler.handle(request, row)
        assert self._application
        response = Response()
        try:
            response.call(self._application, request_environ(request, self._server))
            sent = self._to_bytes(response, request)
        except BaseException:  # also SystemExit: it must not end a thread of the engine
            self._end_fork()
            return self._lab_handler.fail(request, row)
        self._end_fork()
        count(response.code, row)
        return sent

    def _end_fork(self) -> None:
        if os.getpid() != self._pid:
            log(f"A process that {self._spec.name} has forked returned from its call and was ended.\n")
            exit_at_once(1)

    def _to_bytes(self, response: Response, request: Request) -> bytes:
        """Return what is sent. The response to HEAD has a length if the application gave one, or a body.

        Raises UnicodeEncodeError for a character beyond Latin-1 in the head.
        """
        is_empty = response.code in WITHOUT_BODY
        has_body = not is_empty and request.method != b"HEAD"
        lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.fields)]
        self.update_date(time.monotonic())
        if not any(name.lower() == "date" for name, _ in response.fields):
            lines.append(f"Date: {self._lab_handler.date}")
        if has_body:
            lines.append(f"Content-Length: {len(response.body)}")
        elif not is_empty and (response.length or response.body):
            lines.append(f"Content-Length: {response.length or len(response.body)}")
        head = "\r\n".join(lines).encode("latin-1")
        head += b"\r\n%b\r\n" % connection_fields(request, self.draining)
        return head + response.body if has_body else head
