"""A protocol that takes what arrives in small pieces, so that a bound on what may be kept is checked while reading.

asyncio hands a plain protocol up to 256 KiB at a time, four times what a request head may be.
"""

from __future__ import annotations

import asyncio

READ_MAX = 8 * 1024

# One for all connections: what was read is copied out of it before the event loop reads from another.
_BUFFER = memoryview(bytearray(READ_MAX))


class SmallReads(asyncio.BufferedProtocol):
    """Mixed into a protocol with `data_received`: bytes come to it in pieces of READ_MAX at most."""

    def data_received(self, data: bytes) -> None:
        """The protocol's own, which comes first among the base classes."""
        raise NotImplementedError

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_BUFFER[:nbytes]))
