"""Checks that a starting engine is ready: its ready line, one answered request, and no open connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from engines.common.board.reader import BoardReader

RESPONSE_TIMEOUT_S = 3.0
PROBE_CLOSED_TIMEOUT_S, PROBE_POLL_S = 0.5, 0.002
READ_BYTES = 4096


async def read_ready_line(fd: int) -> bytes:
    """Return the line that an engine writes when its threads run; empty if it ended without one.

    Closes `fd`, the read end of the ready pipe.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()
    received = bytearray()

    def read() -> None:
        data = os.read(fd, READ_BYTES)
        received.extend(data)
        if not line.done() and (not data or received.endswith(b"\n")):
            line.set_result(bytes(received))

    loop.add_reader(fd, read)
    try:
        return await line
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def check_health(
    host: str,
    port: int,
    path: str,
    status: int | None,
    timeout_s: float | None = None,
) -> None:
    """Send one request. `status`: of the response; None: any. `timeout_s`: None: no limit.

    Raises OSError, TimeoutError, and ValueError for another status.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if not line:
        raise ValueError("it closed the connection without a response")
    if not line.startswith(b"HTTP/1." if status is None else b"HTTP/1.1 %d" % status):
        raise ValueError(f"it responded with {line!r}")


async def wait_probe_closed(board: BoardReader) -> None:
    """Wait until the engine has closed the connection of `check_health`, which would count as a client's.

    Returns after PROBE_CLOSED_TIMEOUT_S in any case.
    """
    deadline_s = time.monotonic() + PROBE_CLOSED_TIMEOUT_S
    while sum(board.read().connections.values()) and time.monotonic() < deadline_s:
        await asyncio.sleep(PROBE_POLL_S)
