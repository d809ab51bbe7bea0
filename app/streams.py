"""Standard streams that cannot take the rest of a command with them: closed, full, a broken pipe, a narrow encoding.

A command goes on when nobody reads what it says, and its exit code keeps its meaning. What could not be written to
stdout because of anything but a reader that left is told on stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


class Tolerant:
    """A text stream that swallows what cannot be written, and keeps the first error."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a dash is worth no traceback where only ASCII may be written

    def write(self, text: str) -> int:
        if self._stream is not None and self.error is None:
            with self._noting():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and self.error is None:
            with self._noting():
                self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = error
            self._let_go()

    def _let_go(self) -> None:
        """What is still buffered would fail once more when the interpreter ends, and cost the exit code."""
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            assert self._stream
            os.dup2(nowhere.fileno(), self._stream.fileno())


@contextlib.contextmanager
def tolerant() -> Iterator[Tolerant]:
    """Make stdout and stderr tolerant; the value is stdout."""
    before = sys.stdout, sys.stderr
    out, err = Tolerant(before[0]), Tolerant(before[1])
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
