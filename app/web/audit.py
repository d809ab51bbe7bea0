"""The audit log: one line for each request that changes something."""

from __future__ import annotations

import logging
from ipaddress import ip_address

from starlette.types import Message, Scope, Send

from app.web.origin import changes_state
from app.web.problems import shorten

REFUSED_STATUSES = frozenset((401, 403, 413, 421, 429))
ADDRESS_MAX = 80  # characters
NO_ADDRESS = "nowhere"

_logger = logging.getLogger("threadlab.audit")


def client_address(scope: Scope) -> str:
    """Return the client's address; a quoted literal if a trusted proxy sent something else."""
    client = scope.get("client")
    try:
        return str(ip_address(client[0])) if client else NO_ADDRESS
    except ValueError:
        return repr(client[0][:ADDRESS_MAX]) if client else NO_ADDRESS


def quoted(path: str) -> str:
    """Return a path as a shortened literal, so that it cannot start a new line of the log."""
    return shorten(repr(path))


def with_audit_log(scope: Scope, send: Send, is_authenticated: bool) -> Send:
    """Wrap `send`: log the request when its response starts.

    Refused requests, and failed requests without authentication, are warnings, so that repeated ones are
    counted instead of logged.
    """
    if not changes_state(scope):
        return send

    async def send_and_log(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            is_suspect = status in REFUSED_STATUSES or (status >= 400 and not is_authenticated)
            level = logging.WARNING if is_suspect else logging.INFO
            _logger.log(
                level, "%s %s %s %d", client_address(scope), scope["method"], quoted(scope["path"]), status
            )
        await send(message)

    return send_and_log
