"""The log of an engine: its stderr."""

from __future__ import annotations

import contextlib
import sys


def log(text: str) -> None:
    """Write whole lines, such as a traceback. Where nobody reads stderr any more, they are lost."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
