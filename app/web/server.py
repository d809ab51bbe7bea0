"""uvicorn with the lab's limits: its configuration, its protocols and its listening sockets."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.web.connection_limit import ACCEPT_BATCH, ConnectionLimit
from app.web.http_protocol import BoundedHttp
from app.web.websocket_protocol import BoundedWebSocket

UNSENT_BYTES = 128 * 1024  # twice a frame of five engines with 1,000 threads
ACKNOWLEDGED_WITHIN_MS = 30_000
GRACE_S = 10
BACKLOG = 1024
# Clients such as httpx keep an idle connection for 5 s. If the server closes it at the same time, a request
# that is just being sent gets no response.
KEEP_ALIVE_S = 15
MESSAGE_MAX = 16 * 1024  # bytes of a WebSocket message


def set_options(listener: socket.socket) -> None:
    """Set the options of the control plane's listening socket, which accepted sockets inherit."""
    # uvicorn writes head and body of a response separately. Without this option the body waits for the ACK of
    # the head, which a client may delay by 40 ms. asyncio sets it only if the protocol number is not 0.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Without this limit, up to 4 MB of unread data could be in kernel memory before asyncio pauses.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    # Disconnect a client that does not acknowledge data: closing alone could wait for it forever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ACKNOWLEDGED_WITHIN_MS)


def make_config(
    app: FastAPI, max_connections: int, trusted_proxies: tuple[str, ...] = (), **more: Any
) -> uvicorn.Config:
    """Return the uvicorn configuration.

    max_connections: the connection limit. trusted_proxies: addresses and networks whose X-Forwarded-For is
    used.
    more: further arguments of `uvicorn.Config`.
    """
    served: Any = app
    if trusted_proxies:
        served = ProxyHeadersMiddleware(served, list(trusted_proxies))
    http: Any = partial(BoundedHttp, limit=ConnectionLimit(max_connections))
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
        **{"timeout_keep_alive": KEEP_ALIVE_S, **more},
    )


class Server(uvicorn.Server):
    """uvicorn's server with our socket options and a longer accept queue.

    asyncio uses one number for the backlog and for the connections accepted per iteration, which must be
    small.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve on `sockets`, and set the length of their accept queues."""
        for listener in sockets or ():
            set_options(listener)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)
