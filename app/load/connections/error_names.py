"""The names of connection errors, as results show them."""

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
    """Return the name of an OSError, or of an errno: `failed` for those without a name of their own."""
    number = error if isinstance(error, int) else error.errno
    return _NAMES.get(number or 0, "failed")
