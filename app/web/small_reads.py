"""A protocol that reads at most 8 KiB at a time, so that limits are checked while data arrives.

asyncio passes up to 256 KiB at a time to a plain protocol, four times the maximum size of a request head.
"""

from __future__ import annotations

import asyncio

READ_MAX = 8 * 1024

# Shared by all connections: `buffer_updated` copies the data before the event loop reads from another socket.
_BUFFER = memoryview(bytearray(READ_MAX))


class SmallReads(asyncio.BufferedProtocol):
    """Mixin for a protocol with `data_received`, which then gets at most READ_MAX bytes per call."""

    def data_received(self, data: bytes) -> None:
        """Implemented by the protocol, which precedes this mixin among the base classes."""
        raise NotImplementedError

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next read (asyncio)."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Pass the received bytes to `data_received` (asyncio)."""
        self.data_received(bytes(_BUFFER[:nbytes]))
