"""Logging of the control plane: control characters are escaped, and repeated warnings are counted."""

from __future__ import annotations

import logging
import sys

from app.streams import visible

KINDS_MAX = 1000


def configure() -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(asctime)s %(name)s %(message)s"))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class EscapingFormatter(logging.Formatter):
    """Escapes control characters, so that client data cannot start a new line or control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole entry, with tracebacks."""
        return visible(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the first line of the entry."""
        record.message = record.message.replace("\n", "\\n")
        return super().formatMessage(record)


class RepeatFilter(logging.Filter):
    """Passes the 1st, 10th, 100th … warning or error of each kind, with its count.

    Thread-safe: logging locks.

    A kind is a logger, a message and its first argument, which is the client's address in the audit log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[tuple[object, ...], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record; adds the count to a repeated one."""
        if record.levelno < logging.WARNING:
            return True
        first = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = (
            record.name,
            record.levelno,
            str(record.msg).partition("\n")[0],
            str(first),
            _exception_origin(record),
        )
        if len(self._counts) >= KINDS_MAX:
            self._counts.clear()
        self._counts[kind] = count = self._counts.get(kind, 0) + 1
        if count == 1:
            return True
        if str(count).strip("0") != "1":
            return False
        record.msg = f"{record.msg} (the {count:,}th of its kind)"
        return True


def _exception_origin(record: logging.LogRecord) -> str:
    """Return the type of the exception and where it was raised."""
    kind, _, trace = record.exc_info or (None, None, None)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{kind} {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
