"""Output on a terminal, by rich. Imported lazily, as rich takes 50 ms.

Foreign text is safe twice: it is made of `Text`, so its markup is not interpreted, and `SafeConsole` escapes
the control characters of every segment just before it is written. Only the sequences that rich itself adds
remain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from app.cli.console import Styled, Table
from app.streams import unescaped, visible

BAR_WIDTH = 30


class SafeConsole(Console):
    """A console that escapes the control characters of all text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of `renderable`, those of text with escaped control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(stream: TextIO) -> Console:
    """Return a console that writes to `stream`, a terminal. Markup, emoji codes and highlighting are off."""
    return SafeConsole(file=unescaped(stream), markup=False, emoji=False, highlight=False)


def text(content: str) -> Text:
    """Return `content` as text without markup, in its style if it has one."""
    return Text(visible(content), style=content.style if isinstance(content, Styled) else "")


def show(*items: str | Table) -> None:
    """Write lines and tables to stdout."""
    out = console(sys.stdout)
    for item in items:
        out.print(_table(item) if isinstance(item, Table) else text(item))


def hint(commands: Sequence[str]) -> None:
    """Write "Next: …" to stderr."""
    err = console(sys.stderr)
    for i, command in enumerate(commands):
        err.print(Text.assemble(("Next: " if i == 0 else "      ", "dim"), (visible(command), "cyan")))


def show_examples(examples: Sequence[tuple[str, str]]) -> None:
    """Write a panel of examples, each a purpose and a command, to stdout."""
    lines = [Text.assemble((command, "cyan"), (f"\n    {purpose}", "dim")) for purpose, command in examples]
    if lines:
        panel = Panel(Text("\n").join(lines), title="Examples", title_align="left", border_style="dim")
        console(sys.stdout).print(panel)


def progress() -> Progress:
    """Return a progress bar on stderr, which is erased at its end. It is drawn when its task is updated."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[status]}", markup=False),
    )
    return Progress(
        *columns,
        console=console(sys.stderr),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _table(table: Table) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD if table.has_heading else None,
        show_header=table.has_heading,
        header_style="bold",
        pad_edge=False,
    )
    for column in table.columns:
        drawn.add_column(text(column.title), justify="right" if column.is_number else "left")
    for row in table.rows:
        drawn.add_row(*_cells(row))
    return drawn


def _cells(row: Sequence[str]) -> Iterator[Text]:
    return (text(cell) for cell in row)
