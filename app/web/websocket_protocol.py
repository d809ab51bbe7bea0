"""WebSockets of the control plane: uvicorn's protocol, which keeps no more of a client than one small message.

The library refuses a frame over `ws_max_size` by its head, before the rest has come. What is left to bound is what
comes in one read, and the answers to pings of a client that reads none of them.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.web.small_reads import SmallReads


class BoundedWebSocket(WebSocketsSansIOProtocol, SmallReads):
    """One connection. Who does not read is not read."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()
