"""HTTP/1.1 of the control plane: uvicorn's h11 protocol, bounded in bytes, time and connections.

uvicorn itself waits for ever for the rest of a head or of a body. docs/security.md lists the bounds.
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
from app.web.h11_connection import BoundedConnection
from app.web.refusal import NOT_HTTP, Refusal
from app.web.small_reads import SmallReads

REST_MAX = 64 * 1024  # of a body whose request is answered: so much is read, that the connection may go on
LINGER_MAX = 1024 * 1024  # and so much more is thrown away
TAKEN_MIN = 10 * 1024  # bytes of an answer, in each WITHIN_S of Phase.ANSWER
CLOSE_WITHIN_S = 1.0  # when the lab ends


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
FULL = Refusal(503, "All connections of this lab are in use; try again.")
LATE_HEAD = Refusal(408, f"A request's head has to come within {WITHIN_S[Phase.HEAD]:.0f} s.")
LATE_BODY = Refusal(408, f"A request's body has to come within {WITHIN_S[Phase.BODY]:.0f} s.")


class BoundedHttp(H11Protocol, SmallReads):
    """One connection. In each phase it has a deadline, but for the application's own work."""

    conn: BoundedConnection

    def __init__(self, *, limit: ConnectionLimit, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.conn = BoundedConnection()
        self._limit = limit
        self._phase = Phase.OVER
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of a body whose request is answered
        self._unsent = 0  # bytes of the answer that the client had not taken when the phase began

    # Of asyncio's protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = unmapped(self.client)
        if self._limit.make_room(len(self.connections)):
            self._enter(Phase.HEAD)
        else:
            self._refuse(FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter(Phase.OVER)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # it holds the request for seconds more

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.LINGER:
            self._discard(len(data))
        elif self._phase is not Phase.OVER:
            super().data_received(data)
            self._look()
            if self._has_rest:
                self._count(len(data))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    # Of uvicorn's protocol

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        if self.transport.get_write_buffer_size():
            return self.evict()  # answers to earlier requests, which it does not take: nothing would end it
        self._enter(Phase.OVER)
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Called where h11 refuses what was sent."""
        self._refuse(self.conn.refusal or NOT_HTTP)

    def on_response_complete(self) -> None:
        self._received = 0
        super().on_response_complete()
        self._look()

    def shutdown(self) -> None:
        """The lab ends: only the application's own work is waited for."""
        if self._phase is Phase.WORK:
            super().shutdown()
        elif self._phase is Phase.ANSWER:
            self.cycle.disconnected = True
            self.transport.close()
            self.loop.call_later(CLOSE_WITHIN_S, self.transport.abort)
        else:
            self.evict()

    # Our own

    def evict(self) -> None:
        """Close at once: others need its place."""
        self._enter(Phase.OVER)
        self.transport.abort()

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _has_rest(self) -> bool:
        """Whether a body comes on whose request is answered; also while the client takes no answer."""
        return self._phase is not Phase.OVER and self._answered and self.conn.their_state is h11.SEND_BODY

    def _look(self) -> None:
        """Enter the phase that the connection is in now."""
        if self._phase not in (Phase.OVER, Phase.LINGER):
            self._enter(self._phase_now())

    def _phase_now(self) -> Phase:
        if self.flow.write_paused or (self._answered and self.transport.get_write_buffer_size()):
            return Phase.ANSWER
        if self.transport.is_closing():
            return Phase.OVER
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.REST if self._answered else Phase.BODY
        if not self._answered:
            return Phase.WORK
        return Phase.HEAD if self.cycle is None or self.conn.has_unparsed else Phase.IDLE

    def _enter(self, phase: Phase, again: bool = False) -> None:
        if phase is self._phase and not again:
            return
        self._phase = phase
        if self._deadline:
            self._deadline.cancel()
        within_s = WITHIN_S.get(phase)
        self._deadline = self.loop.call_later(within_s, self._expired) if within_s else None
        if within_s:
            self._limit.waits(self, served=self.cycle is not None and self.cycle.response_complete)
        else:
            self._limit.works(self)
        if phase is Phase.HEAD:
            self._unset_keepalive_if_required()  # the next request has begun
        elif phase is Phase.ANSWER:
            self._unsent = self._not_taken()

    def _expired(self) -> None:
        if self._phase is Phase.HEAD and self.conn.has_unparsed:
            self._refuse(LATE_HEAD)
        elif self._phase is Phase.BODY:
            self._refuse(LATE_BODY)
        elif self._phase is Phase.ANSWER and not self.transport.get_write_buffer_size():
            self._look()
        elif self._phase is Phase.ANSWER and self._unsent - self._not_taken() >= TAKEN_MIN:
            self._enter(Phase.ANSWER, again=True)
        else:
            self.evict()

    def _not_taken(self) -> int:
        """Bytes of the answer that are here or in the kernel. Those here alone shrink in steps of 64 KiB, which a slow
        client takes longer for than its deadline."""
        in_kernel = bytearray(4)
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
        return self.transport.get_write_buffer_size() + int(struct.unpack("i", in_kernel)[0])

    def _count(self, number: int) -> None:
        """Of a body that nobody reads, so many bytes more have come."""
        self._received += number
        if self._received > REST_MAX:
            self._received = 0
            self.transport.write_eof()
            self._enter(Phase.LINGER)

    def _discard(self, number: int) -> None:
        self._received += number
        if self._received > LINGER_MAX:
            self.evict()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer without the application, and close; or only close, where an answer has begun."""
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.cycle is not None:
            self.cycle.disconnected = True
        if begun:
            return self.evict()
        self.transport.write(refusal.response())
        self.transport.close()
        self._enter(Phase.ANSWER if self.transport.get_write_buffer_size() else Phase.OVER)
