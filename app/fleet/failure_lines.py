"""Which lines of an engine's stderr say what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

FAILURE_LINES = 3
EXCEPTION_NAMES = ("Error", "Exception")


def last_exception(log: Sequence[str]) -> str | None:
    """Return the last line that names an exception of Python, such as `ValueError: too large`."""
    raised = (line for line in reversed(log) if _names_an_exception(line))
    return next(raised, None)


def failure_lines(log: Sequence[str]) -> Sequence[str]:
    """Return the last lines, from the last exception on, or with it before them.

    A server with workers writes more lines after the traceback of a worker that could not start.
    """
    log = [line for line in log if line.strip() and not line.startswith("  ")]  # without frames of tracebacks
    last, exception = log[-FAILURE_LINES:], last_exception(log)
    if exception in last:
        last = last[last.index(exception) :]
    elif exception:
        last = [exception, *last]
    return last


def _names_an_exception(line: str) -> bool:
    return line.partition(":")[0].rpartition(".")[2].endswith(EXCEPTION_NAMES)
