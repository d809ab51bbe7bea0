"""The server of `threadlab serve`: uvicorn with the lab, which prints its URL once it is ready."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn

from app.addresses import WILDCARDS, bracketed, reachable
from app.cli.exit_codes import FAILED, OK
from app.cli.stop_signals import STOP_SIGNALS
from app.cluster.pool import open_lab
from app.main import create_app
from app.settings import Settings
from app.web import log
from app.web.authentication import Authenticator
from app.web.connection_limit import max_connections_for, raise_descriptor_limit
from app.web.server import Server, make_config


def run_lab(settings: Settings, listener: socket.socket) -> int:
    """Serve the lab on `listener` until a signal stops it, and return the exit code.

    Main thread only. Raises LabError if the engines or the history cannot be opened.
    """
    log.configure()
    tokens = Authenticator(settings.token)
    most = max_connections_for(raise_descriptor_limit(), settings.max_engines)
    app = create_app(open_lab(settings), tokens)
    server = _Server(make_config(app, most, settings.proxies, log_level="warning"), tokens)
    server.run(sockets=[listener])
    return OK if server.started else FAILED


class _Server(Server):
    """Prints the lab's URL once it is ready, and a sign-in link if it requires a token."""

    def __init__(self, config: uvicorn.Config, tokens: Authenticator) -> None:
        super().__init__(config)
        self._tokens = tokens

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down gracefully on TERM, INT and HUP.

        The exit code is 0, as the signal is not raised again.
        """
        before = {number: signal.signal(number, self.handle_exit) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: Any = None) -> None:
        """Start the server and print where it is."""
        await super().startup(sockets)
        if self.started:
            assert sockets
            host, port = sockets[0].getsockname()[:2]
            sys.stdout.write(f"Thread Model Lab: http://{bracketed(reachable(host))}:{port}/\n")
            if self._tokens.required:
                name = "localhost" if host in WILDCARDS else bracketed(host)
                link = f"http://{name}:{port}/?token={self._tokens.new_login_code()}"
                sys.stdout.write(f"Sign in once, within 10 minutes: {link}\n")
            sys.stdout.flush()
