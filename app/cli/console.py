"""Output of commands: results on stdout; progress, hints and errors on stderr.

On a terminal by rich: colours, tables with rules, wrapped lines (app/cli/terminal.py). Otherwise, and with
NO_COLOR or TERM=dumb, as plain lines with aligned columns, which scripts may parse. rich is imported only
where it is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from app import streams


class Styled(str):
    """Text with a style of rich, such as "bold red", which only terminals show."""

    __slots__ = ("style",)

    def __new__(cls, text: str, style: str) -> Styled:
        styled = super().__new__(cls, text)
        styled.style = style
        return styled

    style: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, its width in plain output (characters), and its alignment."""

    title: str
    width: int
    is_number: bool = True  # right-aligned


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of cells; a cell may be Styled. Cells longer than their column are not cut."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    has_heading: bool = True

    def plain(self) -> str:
        """Return the table as lines with aligned columns."""
        titles = [column.title for column in self.columns]
        return "\n".join(map(self._line, [titles, *self.rows] if self.has_heading else self.rows))

    def _line(self, cells: Sequence[str]) -> str:
        line = ""
        for cell, column in zip(cells, self.columns, strict=True):
            gap = "  " if line and not column.is_number else ""
            line += f"{cell:>{column.width}}" if column.is_number else f"{gap}{cell:<{column.width}}"
        return line.rstrip()


def show(*items: str | Table) -> None:
    """Write lines and tables to stdout.

    Foreign text in them is escaped, and its rich markup is not interpreted.
    """
    if is_rich(sys.stdout):
        from app.cli import terminal

        terminal.show(*items)
    else:
        sys.stdout.writelines(f"{item.plain() if isinstance(item, Table) else item}\n" for item in items)


def show_raw(text: str) -> None:
    """Write text for programs, such as JSON, to stdout, not wrapped; control characters are escaped."""
    sys.stdout.write(f"{text}\n")


def error(text: str) -> None:
    """Write `threadlab: …` to stderr as one line."""
    sys.stderr.write(f"threadlab: {' '.join(text.split())}\n")


def errors(texts: Iterable[str]) -> None:
    """Write each of `texts` as `error` does."""
    for text in texts:
        error(text)


def show_examples(examples: Sequence[tuple[str, str]]) -> None:
    """Write a panel of examples, each its purpose and a command, to stdout, which is a terminal."""
    from app.cli import terminal

    terminal.show_examples(examples)


def hint(*commands: str) -> None:
    """Suggest commands to run next. On stderr, and only where both streams are terminals."""
    if is_rich(sys.stdout) and is_rich(sys.stderr):
        from app.cli import terminal

        terminal.hint(commands)


def is_rich(stream: TextIO | None) -> bool:
    """Return whether `stream` is a terminal that may show colours."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


def can_draw(stream: TextIO | None) -> bool:
    """Return whether `stream` is a terminal with a cursor that can be moved, for a progress bar."""
    return streams.is_terminal(stream) and os.environ.get("TERM") != "dumb"
