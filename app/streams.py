"""Standard streams of the command line: they never raise, and escape control characters.

Errors: stdout and stderr may be closed, full, a broken pipe, or of a narrow encoding. A command continues all
the same, and its exit code keeps its meaning. `tolerant` reports an error of stdout other than a reader that
has gone.

Control characters: a server, an engine's stderr or a label may contain terminal control sequences. All text
is escaped (`\\x1b[2J`), so that the rest of the command line need not consider it. Two exceptions:
`unescaped` is for output with colours of our own, whose foreign text the caller escapes; `write_export`
writes an export unchanged to a file or pipe.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

# C0 without tab and newline (a CR before a newline is part of it), DEL and C1. Then line separators, and
# characters that change the direction of text, which makes it look like another text.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)"
)


def visible(text: str) -> str:
    """Return `text` with its control characters as Python escapes: `\\x1b`, `\\u202e`."""
    return _CONTROLS.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Tolerant:
    """A text stream that never raises and escapes control characters. It keeps the first error in `error`.

    `isatty` returns False, as libraries ask it whether to write colours, which would be escaped here.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # an ASCII terminal shows "?" for "–" instead of a traceback

    def write(self, text: str) -> int:
        """Write `text`, escaped; return its length."""
        self.write_unescaped(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`, escaped."""
        for line in lines:
            self.write(line)

    def write_unescaped(self, text: str) -> None:
        """Write `text` with its control characters."""
        if self._stream is not None and self.error is None:
            with self._errors_kept():
                self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream. Never raises."""
        if self._stream is not None and self.error is None:
            with self._errors_kept():
                self._stream.flush()

    def isatty(self) -> bool:
        """Return False, also for a terminal."""
        return False

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _errors_kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = error
            self._discard()

    def _discard(self) -> None:
        """Redirect the stream to /dev/null.

        Its buffer would fail again at exit, and change the exit code to 120.
        """
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            assert self._stream
            os.dup2(nowhere.fileno(), self._stream.fileno())


class _Unescaped:
    """Passes text to a tolerant stream with its control characters. `isatty` tells the truth."""

    def __init__(self, stream: Tolerant) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` with its control characters; return its length."""
        self._stream.write_unescaped(text)
        return len(text)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.is_terminal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def tolerant() -> Iterator[Tolerant]:
    """Make stdout and stderr tolerant during the block; the value is stdout."""
    before = sys.stdout, sys.stderr
    out, err = Tolerant(before[0]), Tolerant(before[1])
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether `stream` is a terminal."""
    if isinstance(stream, Tolerant):
        return stream.is_terminal
    return stream is not None and stream.isatty()


def unescaped(stream: TextIO) -> TextIO:
    """Return a stream for output with control sequences of our own.

    The caller escapes all foreign text in it.
    """
    return cast(TextIO, _Unescaped(stream)) if isinstance(stream, Tolerant) else stream


def write_export(stream: TextIO, text: str) -> None:
    """Write an export unchanged to a file or pipe. For a terminal its control characters are escaped."""
    if isinstance(stream, Tolerant) and not stream.is_terminal:
        stream.write_unescaped(text)
    else:
        stream.write(text)
