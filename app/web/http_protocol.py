"""HTTP/1.1 of the control plane: uvicorn's h11 protocol, bounded in bytes, time and connections.

uvicorn itself waits for ever for the rest of a head or of a body. docs/security.md lists the bounds.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.problems import problem
from app.security import HEADERS
from app.web.connection_limit import ConnectionLimit
from app.web.small_reads import SmallReads

HEAD_MAX = 64 * 1024
FIELDS_MAX = 100
CHUNK_LINES_MAX = 1000  # of one body: chunks of a byte cost h11 a hundred times what they carry
REST_MAX = 64 * 1024  # of a body whose request is answered: so much is read, that the connection may go on
LINGER_MAX = 1024 * 1024  # and so much more is thrown away
TAKEN_MIN = 10 * 1024  # bytes of an answer, in each WITHIN_S of Phase.ANSWER
TITLE = "Not a request that can be served"


class Phase(StrEnum):
    """What a connection waits for."""

    HEAD = "head"  # the rest of a request's head, or the first byte of the first one
    BODY = "body"  # the rest of a request's body
    WORK = "work"  # the application
    ANSWER = "answer"  # the client, which has not taken the answer yet
    IDLE = "idle"  # the next request
    REST = "rest"  # the end of a body whose request is answered already
    LINGER = "linger"  # the client to leave, who sends too much of it: closed at once, it might miss the answer
    OVER = "over"  # nothing: it is closed, or a WebSocket now


WITHIN_S = {
    Phase.HEAD: 10.0,
    Phase.BODY: 30.0,
    Phase.ANSWER: 10.0,
    Phase.IDLE: 10.0,
    Phase.REST: 5.0,
    Phase.LINGER: 5.0,
}


class BoundedHttp(H11Protocol, SmallReads):
    """One connection. In each phase it has a deadline, but for the application's own work."""

    def __init__(self, *, limit: ConnectionLimit, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._limit = limit
        self._phase = Phase.OVER
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0  # bytes, in this phase; counted in REST and LINGER
        self._chunk_lines = 0
        self._unsent = 0  # bytes of the answer, at its beginning

    # Of asyncio's protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._limit.make_room(len(self.connections)):
            self._enter(Phase.HEAD)
        else:
            self._refuse(503, "All connections of this lab are in use; try again.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter(Phase.OVER)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # it holds the request for seconds more

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.LINGER:
            self._discard(len(data))
        elif self._phase in (Phase.HEAD, Phase.IDLE):
            self._take_head(data)
        elif self._phase in (Phase.BODY, Phase.REST) and self._chunk_lines_with(data) > CHUNK_LINES_MAX:
            self._refuse(400, "The chunks of this body are too small.")
        elif self._phase is not Phase.OVER:
            self._parse(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    # Of uvicorn's protocol

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._enter(Phase.OVER)
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Called where h11 refuses what was sent."""
        if len(self.conn.trailing_data[0]) > HEAD_MAX:
            self._refuse(431, f"A request line with its header fields is at most {HEAD_MAX // 1024} KiB here.")
        else:
            self._refuse(400, "That is not HTTP/1.1.")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    # Our own

    def evict(self) -> None:
        """Close at once: others need its place."""
        self._enter(Phase.OVER)
        self.transport.abort()

    def _look(self) -> None:
        """Enter the phase that the connection is in now."""
        if self._phase not in (Phase.OVER, Phase.LINGER):
            self._enter(self._phase_now())

    def _phase_now(self) -> Phase:
        answered = self.cycle is None or self.cycle.response_complete
        if self.flow.write_paused or (answered and self.transport.get_write_buffer_size()):
            return Phase.ANSWER
        if self.transport.is_closing():
            return Phase.OVER
        if not answered:
            return Phase.BODY if self.conn.their_state is h11.SEND_BODY else Phase.WORK
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.REST
        return Phase.HEAD if self.cycle is None or self.conn.trailing_data[0] else Phase.IDLE

    def _enter(self, phase: Phase, again: bool = False) -> None:
        if phase is self._phase and not again:
            return
        self._phase = phase
        if self._deadline:
            self._deadline.cancel()
        within_s = WITHIN_S.get(phase)
        self._deadline = self.loop.call_later(within_s, self._expired) if within_s else None
        self._unsent = self.transport.get_write_buffer_size()
        self._received = 0
        if phase is Phase.WORK or phase is Phase.IDLE:
            self._chunk_lines = 0
        if within_s:
            self._limit.waits(self, served=self.cycle is not None and self.cycle.response_complete)
        else:
            self._limit.works(self)

    def _take_head(self, data: bytes) -> None:
        """Let h11 have no more than the head at first, and nothing of one with too many fields: it takes time for each
        field, and for each chunk of the body behind it."""
        before = self.conn.trailing_data[0]
        size = _head_size(before + data) - len(before)
        head, rest = data[:size], data[size:]
        if before.count(b"\n") + head.count(b"\n") > FIELDS_MAX + 2:  # the request line, and the empty one
            return self._refuse(431, f"A request has at most {FIELDS_MAX} header fields here.")
        self._parse(head)
        if rest:
            self.data_received(rest)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        self._look()
        if self._phase is Phase.REST:
            self._count(len(data))

    def _chunk_lines_with(self, data: bytes) -> int:
        """Lines of a chunked body so far; those of its own text are among them."""
        if any(name == b"transfer-encoding" for name, _ in self.headers):
            self._chunk_lines += data.count(b"\n")
        return self._chunk_lines

    def _expired(self) -> None:
        if self._phase is Phase.HEAD and self.conn.trailing_data[0]:
            self._refuse(408, f"A request's head has to come within {WITHIN_S[Phase.HEAD]:.0f} s.")
        elif self._phase is Phase.BODY:
            self._refuse(408, f"A request's body has to come within {WITHIN_S[Phase.BODY]:.0f} s.")
        elif self._phase is Phase.ANSWER and self._unsent - self.transport.get_write_buffer_size() >= TAKEN_MIN:
            self._enter(Phase.ANSWER, again=True)
        elif self._phase is Phase.ANSWER and not self.transport.get_write_buffer_size():
            self._look()
        else:
            self.evict()

    def _count(self, number: int) -> None:
        """Of a body that nobody reads, so many bytes more have come."""
        self._received += number
        if self._received > REST_MAX:
            self.transport.write_eof()
            self._enter(Phase.LINGER)

    def _discard(self, number: int) -> None:
        self._received += number
        if self._received > LINGER_MAX:
            self.evict()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without the application, and close; or only close, where an answer has begun."""
        begun = self.cycle is not None and self.cycle.response_started
        if self.cycle is not None:
            self.cycle.disconnected = True
        if begun and self._phase is not Phase.HEAD:
            return self.evict()
        self.transport.write(_rendered(status, detail))
        self.transport.close()
        self._enter(Phase.ANSWER if self.transport.get_write_buffer_size() else Phase.OVER)


def _head_size(data: bytes) -> int:
    """Up to the end of a head; all of it, where its end has not come."""
    found = [data.find(end) + len(end) for end in (b"\n\r\n", b"\n\n") if end in data]
    return min(found, default=len(data))


def _rendered(status: int, detail: str) -> bytes:
    """A whole response with a problem document and the headers of every answer."""
    answer = problem(status, TITLE, detail, "", "http")
    answer.headers.update({**HEADERS, "Cache-Control": "no-store", "Connection": "close"})
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    head += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + bytes(answer.body)
