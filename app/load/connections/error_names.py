"""The names of what went wrong with a connection, as results show them."""

from __future__ import annotations

import errno

_NAMES = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EADDRNOTAVAIL: "no_port",
}


def error_name(error: OSError | int) -> str:
    """Of an OSError, or of its number."""
    number = error if isinstance(error, int) else error.errno
    return _NAMES.get(number or 0, "failed")
