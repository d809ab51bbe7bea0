"""WebSockets of the control plane: uvicorn's protocol, which keeps no more of a client than one small message.

The library refuses a message over `ws_max_size` by the head of its frame, before the rest has come. What is left to
bound is what comes in one read, how many fragments a message has, answers to pings of a client that reads none of them,
and handshakes that the library refuses without a word to uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from app.addresses import unmapped
from app.web.refusal import Refusal
from app.web.small_reads import SmallReads

FRAGMENTS_MAX = 64
TOO_BIG = 1009
NO_HANDSHAKE = Refusal(400, "That is no handshake of a WebSocket: a GET without a body, with no field over 8 KiB.")


class BoundedWebSocket(WebSocketsSansIOProtocol, SmallReads):
    """One connection. Who does not read is not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.client = unmapped(self.client)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(NO_HANDSHAKE.response())
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > FRAGMENTS_MAX:
            self.conn.fail(TOO_BIG, f"a message has at most {FRAGMENTS_MAX} fragments")
            self.handle_parser_exception()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def shutdown(self) -> None:
        if self.handshake_complete:
            super().shutdown()
        else:
            self.transport.abort()
