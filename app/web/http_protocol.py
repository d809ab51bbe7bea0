"""HTTP/1.1 of the control plane: uvicorn's h11 protocol with limits on size, time and connections.

uvicorn itself has no timeout for the rest of a head or a body. docs/security.md lists the limits.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from enum import StrEnum
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.addresses import unmapped
from app.web.connection_limit import ConnectionLimit
from app.web.error_response import NOT_HTTP, ErrorResponse
from app.web.h11_connection import BoundedConnection
from app.web.small_reads import SmallReads

UNREAD_MAX = 64 * 1024  # bytes read of a body after its response, so that the connection can be reused
LINGER_MAX = 1024 * 1024  # bytes discarded after that
PROGRESS_MIN = 10 * 1024  # bytes of a response that the client must read per TIMEOUT_S[Phase.RESPONSE]
CLOSE_TIMEOUT_S = 1.0  # for unread responses, on shutdown


class Phase(StrEnum):
    """The event for which a connection is waiting."""

    HEAD = "head"  # the rest of a request head, or the first byte of the first one
    BODY = "body"  # the rest of a request body
    HANDLING = "handling"  # the application
    RESPONSE = "response"  # the client to read the response
    IDLE = "idle"  # the next request
    UNREAD_BODY = "unread body"  # the rest of the body of a request that has its response
    LINGER = "linger"  # the client to close; if the server closed first, the client could miss the response
    CLOSED = "closed"  # nothing: closed, or upgraded to a WebSocket


TIMEOUT_S = {
    Phase.HEAD: 10.0,
    Phase.BODY: 30.0,
    Phase.RESPONSE: 10.0,
    Phase.IDLE: 10.0,
    Phase.UNREAD_BODY: 5.0,
    Phase.LINGER: 5.0,
}
FULL = ErrorResponse(503, "The connection limit is reached. Try again later.")
LATE_HEAD = ErrorResponse(408, f"The request head did not arrive within {TIMEOUT_S[Phase.HEAD]:.0f} s.")
LATE_BODY = ErrorResponse(408, f"The request body did not arrive within {TIMEOUT_S[Phase.BODY]:.0f} s.")


class BoundedHttp(H11Protocol, SmallReads):
    """One connection.

    Every phase has a deadline, except while the application handles a request. Event loop only.
    """

    conn: BoundedConnection

    def __init__(self, *, limit: ConnectionLimit, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self.conn = BoundedConnection()
        self._limit = limit
        self._phase = Phase.CLOSED
        self._deadline: asyncio.TimerHandle | None = None
        self._discarded = 0  # bytes of a body that the application does not read
        self._unsent = 0  # bytes of the response that the client had not read at the start of the phase

    # Called by asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, or refuse the connection at the limit."""
        super().connection_made(transport)
        self.client = unmapped(self.client)
        if self._limit.admit(len(self.connections)):
            self._enter(Phase.HEAD)
        else:
            self._refuse(FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._enter(Phase.CLOSED)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn's timer would keep the request in memory

    def data_received(self, data: bytes) -> None:
        """Pass data to the parser, or discard it after an error response."""
        if self._phase is Phase.LINGER:
            self._discard(len(data))
        elif self._phase is not Phase.CLOSED:
            super().data_received(data)
            self._update_phase()
            if self._has_unread_body:
                self._count_unread(len(data))

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._update_phase()

    def resume_writing(self) -> None:
        """The client has read enough."""
        super().resume_writing()
        self._update_phase()

    # Called by uvicorn

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the WebSocket protocol."""
        if self.transport.get_write_buffer_size():
            return self.evict()  # a WebSocket has no deadline for unread responses
        self._enter(Phase.CLOSED)
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that h11 rejects."""
        self._refuse(self.conn.refusal or NOT_HTTP)

    def on_response_complete(self) -> None:
        """Wait for the client to read the response, for the rest of its body, or for its next request."""
        self._discarded = 0
        super().on_response_complete()
        self._update_phase()

    def shutdown(self) -> None:
        """Close the connection, unless the application is handling a request."""
        if self._phase is Phase.HANDLING:
            super().shutdown()
        elif self._phase is Phase.RESPONSE:
            if self.cycle is not None:
                self.cycle.disconnected = True  # so that the application does not wait for the client
            self.transport.close()
            self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
        else:
            self.evict()

    # Phases

    def evict(self) -> None:
        """Close immediately."""
        self._enter(Phase.CLOSED)
        self.transport.abort()

    @property
    def _responded(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _has_unread_body(self) -> bool:
        """Whether the client is still sending the body of a request that has its response."""
        return self._phase is not Phase.CLOSED and self._responded and self.conn.their_state is h11.SEND_BODY

    def _update_phase(self) -> None:
        """Enter the phase that follows from the state of the connection."""
        if self._phase not in (Phase.CLOSED, Phase.LINGER):
            self._enter(self._current_phase())

    def _current_phase(self) -> Phase:
        if self.flow.write_paused or (self._responded and self.transport.get_write_buffer_size()):
            return Phase.RESPONSE
        if self.transport.is_closing():
            return Phase.CLOSED
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.UNREAD_BODY if self._responded else Phase.BODY
        if not self._responded:
            return Phase.HANDLING
        return Phase.HEAD if self.cycle is None or self.conn.has_unparsed else Phase.IDLE

    def _enter(self, phase: Phase, again: bool = False) -> None:
        if phase is self._phase and not again:
            return
        self._phase = phase
        if self._deadline:
            self._deadline.cancel()
        timeout_s = TIMEOUT_S.get(phase)
        self._deadline = self.loop.call_later(timeout_s, self._on_deadline) if timeout_s else None
        if timeout_s:
            self._limit.mark_waiting(self, served=self.cycle is not None and self.cycle.response_complete)
        else:
            self._limit.mark_busy(self)
        if phase is Phase.HEAD:
            self._unset_keepalive_if_required()  # the next request has started
        elif phase is Phase.RESPONSE:
            self._unsent = self._unsent_bytes()

    def _on_deadline(self) -> None:
        if self._phase is Phase.HEAD and self.conn.has_unparsed:
            self._refuse(LATE_HEAD)
        elif self._phase is Phase.BODY:
            self._refuse(LATE_BODY)
        elif self._phase is Phase.RESPONSE and not self.transport.get_write_buffer_size():
            self._update_phase()
        elif self._phase is Phase.RESPONSE and self._unsent - self._unsent_bytes() >= PROGRESS_MIN:
            self._enter(Phase.RESPONSE, again=True)
        else:
            self.evict()

    def _unsent_bytes(self) -> int:
        """Return the bytes of the response in the transport's and the kernel's buffers.

        The transport's buffer alone shrinks in steps of 64 KiB, which a slow client may not read in time.
        """
        in_kernel = bytearray(4)
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
        return self.transport.get_write_buffer_size() + int(struct.unpack("i", in_kernel)[0])

    def _count_unread(self, number: int) -> None:
        """Count received bytes of a body that the application does not read."""
        self._discarded += number
        if self._discarded > UNREAD_MAX:
            self._discarded = 0
            self.transport.write_eof()
            self._enter(Phase.LINGER)

    def _discard(self, number: int) -> None:
        self._discarded += number
        if self._discarded > LINGER_MAX:
            self.evict()

    def _refuse(self, refusal: ErrorResponse) -> None:
        """Send an error response and close; close without one if the application's response has started."""
        is_responding = (
            self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        )
        if self.cycle is not None:
            self.cycle.disconnected = True
        if is_responding:
            return self.evict()
        self.transport.write(refusal.to_bytes())
        self.transport.close()
        self._enter(Phase.RESPONSE if self.transport.get_write_buffer_size() else Phase.CLOSED)
