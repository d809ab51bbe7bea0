"""Standard streams that cannot take the rest of a command with them: closed, full, a broken pipe, a narrow encoding.

A command goes on when nobody reads what it says, and its exit code keeps its meaning. What could not be written to
stdout because of anything but a reader that left is told on stderr.

A server, an engine's stderr or a label may contain terminal control sequences. Whatever is written here has them made
visible (`\\x1b[2J`), so no other part of the command line needs to think of it. Two things pass unchanged: our own
sequences, by `control`, and an export, by `exact`, unless it goes to a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

ERASE_LINE = "\r\x1b[K"
# C0 without tab and newline (a CR before a newline belongs to it), DEL, C1; then line separators and what changes the
# direction of text, so that it reads as something else than it is.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)"
)


def visible(text: str) -> str:
    """`text` with its control characters as Python writes them: `\\x1b`, `\\u202e`."""
    return _CONTROLS.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Tolerant:
    """A text stream that swallows what cannot be written, keeps the first error, and makes control characters visible.

    `isatty` is False: libraries ask it whether they may write colours, which would be made visible.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a dash is worth no traceback where only ASCII may be written

    def write(self, text: str) -> int:
        self.write_exactly(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def write_exactly(self, text: str) -> None:
        """Write `text` with its control characters as they are."""
        if self._stream is not None and self.error is None:
            with self._noting():
                self._stream.write(text)

    def flush(self) -> None:
        if self._stream is not None and self.error is None:
            with self._noting():
                self._stream.flush()

    def isatty(self) -> bool:
        return False

    @property
    def is_terminal(self) -> bool:
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


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at `stream`, and a bar can be drawn there."""
    return stream.is_terminal if isinstance(stream, Tolerant) else stream.isatty()


def control(stream: TextIO, sequence: str) -> None:
    """Write a control sequence of ours; never text of others."""
    if isinstance(stream, Tolerant):
        stream.write_exactly(sequence)
    else:
        stream.write(sequence)


def exact(stream: TextIO, export: str) -> None:
    """Write an export, byte for byte where it goes to a file or a pipe; a terminal would act on what is in it."""
    if isinstance(stream, Tolerant) and not stream.is_terminal:
        stream.write_exactly(export)
    else:
        stream.write(export)
