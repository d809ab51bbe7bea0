"""The control plane as a server: its listening socket, and uvicorn with this lab's bounds."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app import addresses
from app.web.connection_limit import ACCEPTED_AT_ONCE, ConnectionLimit
from app.web.http_protocol import BoundedHttp
from app.web.websocket_protocol import BoundedWebSocket

UNSENT_BYTES = 128 * 1024  # a frame of five engines with 1,000 threads is half of it: it goes out at once
TAKEN_WITHIN_MS = 30_000
GRACE_S = 10
BACKLOG = 1024
MESSAGE_MAX = 16 * 1024  # bytes of a WebSocket message


def listen(host: str, port: int) -> socket.socket:
    """The control plane's listening socket; accepted sockets inherit its options. Raises OSError."""
    listener = addresses.listen(host, port)
    # uvicorn writes head and body of a response one after the other. Without this the body waits for the ACK of the
    # head, which a client may delay by 40 ms. asyncio sets it only where the protocol is named, which `create_server`
    # does not do.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What a viewer does not take is soon seen here, not first in 4 MB of kernel memory.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    # And who takes nothing for so long is gone: a close alone would wait for the rest to be taken, if need be for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_WITHIN_MS)
    return listener


def configured(app: FastAPI, most: int, trusted_proxies: tuple[str, ...] = (), **more: Any) -> uvicorn.Config:
    """uvicorn's configuration for a lab that keeps `most` connections.

    What a proxy says of its client is believed only of `trusted_proxies` (addresses and networks).
    """
    served: Any = app
    if trusted_proxies:
        served = ProxyHeadersMiddleware(served, list(trusted_proxies))
    http: Any = partial(BoundedHttp, limit=ConnectionLimit(most))
    return uvicorn.Config(
        served, http=http, ws=BoundedWebSocket, loop="asyncio", ws_max_size=MESSAGE_MAX, ws_per_message_deflate=False,
        proxy_headers=False, server_header=False, backlog=ACCEPTED_AT_ONCE, timeout_graceful_shutdown=GRACE_S,
        log_config=None, access_log=False, **more,
    )  # fmt: skip


class Server(uvicorn.Server):
    """uvicorn's, with a longer queue of connections in the kernel.

    asyncio has one number for how many connections it accepts at once, which has to be small, and for how many may
    wait, which need not.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)
