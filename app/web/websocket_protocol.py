"""WebSockets for the control plane: uvicorn's protocol with limits on what it keeps of a client.

The library rejects a message over `ws_max_size` by the header of its frame, before the payload arrives. Added here are
limits on the size of a read, on the fragments of a message and on unread pongs, and a response to handshakes that the
library rejects without telling uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from app.addresses import unmapped
from app.web.error_response import ErrorResponse
from app.web.small_reads import SmallReads

FRAGMENTS_MAX = 64
TOO_BIG = 1009
BAD_HANDSHAKE = ErrorResponse(
    400, "That is no handshake of a WebSocket: a GET without a body, with no field over 8 KiB."
)


class BoundedWebSocket(WebSocketsSansIOProtocol, SmallReads):
    """One connection. Nothing is read from a client that does not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.client = unmapped(self.client)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(BAD_HANDSHAKE.to_bytes())
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > FRAGMENTS_MAX:
            self.conn.fail(TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
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
