"""WebSockets of the control plane: uvicorn's protocol with limits on the data kept for a client.

The library rejects a message over `ws_max_size` by the header of its frame, before the payload arrives. This
module adds limits on the size of a read, the fragments of a message and unread pongs, and a response to
handshakes that the library rejects without a call of uvicorn.
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
    400, "Invalid WebSocket handshake: send a GET without a body and without header fields over 8 KiB."
)


class BoundedWebSocket(WebSocketsSansIOProtocol, SmallReads):
    """One connection. While a client does not read, nothing is read from it. Event loop only."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection."""
        super().connection_made(transport)
        self.client = unmapped(self.client)

    def data_received(self, data: bytes) -> None:
        """Pass data to the library, and respond to a handshake that it rejects."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(BAD_HANDSHAKE.to_bytes())
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Limit the number of fragments of a message."""
        super().handle_cont(event)
        if len(self.frames) > FRAGMENTS_MAX:
            self.conn.fail(TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
            self.handle_parser_exception()

    def pause_writing(self) -> None:
        """The client reads too slowly: stop reading from it, because each ping would add a pong."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, unless uvicorn has paused reading."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """Close the connection; abort it during the handshake."""
        if self.handshake_complete:
            super().shutdown()
        else:
            self.transport.abort()
