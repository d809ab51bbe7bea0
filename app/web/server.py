"""The control plane's listening socket and uvicorn configuration."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app import addresses
from app.web.connection_limit import ACCEPT_BATCH, ConnectionLimit
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
    # Unread data is noticed early, and not only after 4 MB of kernel memory.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    # A client that acknowledges nothing for so long is disconnected: a close alone could wait for it forever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_WITHIN_MS)
    return listener


def make_config(
    app: FastAPI, most: int, trusted_proxies: tuple[str, ...] = (), **more: Any
) -> uvicorn.Config:
    """Return the uvicorn configuration.

    most: the connection limit. trusted_proxies: addresses and networks whose X-Forwarded-For is used.
    """
    served: Any = app
    if trusted_proxies:
        served = ProxyHeadersMiddleware(served, list(trusted_proxies))
    http: Any = partial(BoundedHttp, limit=ConnectionLimit(most))
    return uvicorn.Config(
        served,
        http=http,
        ws=BoundedWebSocket,
        loop="asyncio",
        ws_max_size=MESSAGE_MAX,
        ws_per_message_deflate=False,
        proxy_headers=False,
        server_header=False,
        backlog=ACCEPT_BATCH,
        timeout_graceful_shutdown=GRACE_S,
        log_config=None,
        access_log=False,
        **more,
    )


class Server(uvicorn.Server):
    """uvicorn's server with a longer accept queue.

    asyncio uses one number as the backlog and as the number of connections accepted per iteration, which must be small.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)
