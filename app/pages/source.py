"""A lesson's source as the model page shows it: painted by Python's own tokenizer, and with the thread states that
its lines stand for, so that the code and the lanes can light each other up.

A line's states come from the lesson itself: it says `mark[STATE] = READING`, and what follows in that block is
passed in that state until the next mark; after a loop or a branch with marks of its own nothing is said. A verb
adds the state that the function it names is known for: `recv` reads wherever it stands, also where a thread blocks
in it and its lane says `waiting`.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

VERBS = {
    "accept": "accepting",
    "wait": "waiting",
    "select": "waiting",
    "recv": "reading",
    "received": "reading",
    "feed": "reading",
    "handle_pending": "handling",
    "send": "writing",
    "reply": "writing",
    "take": "queue",
}
MARKS = ("WAITING", "ACCEPTING", "READING", "HANDLING", "WRITING", "QUEUE")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a lesson: its number in the file, its text as HTML, the states it stands for."""

    number: int
    html: Markup
    states: tuple[str, ...]


def source_lines(source: str) -> Iterator[Line]:
    """The lines of a lesson below its docstring."""
    first, marks = _after_docstring(source), state_marks(source)
    for number, html in enumerate(paint(source), start=1):
        if number >= first:
            yield Line(number, html, marks.get(number, ()))


def state_marks(source: str) -> dict[int, tuple[str, ...]]:
    """The states that each line stands for, its mark's first, then its verbs'; lines without any are left out."""
    tree = ast.parse(source)
    found: dict[int, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            _follow(node.body, None, found)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (state := VERBS.get(_called(node.func))):
            found.setdefault(_line_of(node.func), []).append(state)
    return {number: tuple(dict.fromkeys(states)) for number, states in sorted(found.items())}


def _follow(block: Sequence[ast.stmt], state: str | None, found: dict[int, list[str]]) -> None:
    """Down a block: a mark holds from its own line on, also inside what follows, until there is another."""
    for statement in block:
        state = _mark(statement) or state
        inner = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        last = min(
            (part[0].lineno - 1 for part in inner if part), default=statement.end_lineno or statement.lineno
        )
        if state:
            for number in range(statement.lineno, last + 1):
                found.setdefault(number, []).append(state)
        for part in inner:
            _follow(part, state, found)
        if any(_mark(each) for part in inner for child in part for each in ast.walk(child)):
            state = None  # which one it is now depends on where it went


def _mark(statement: ast.AST) -> str | None:
    """READING, if it is `…[STATE] = READING`."""
    match statement:
        case ast.Assign(targets=[ast.Subscript(slice=ast.Name(id="STATE"))], value=ast.Name(id=name)) if (
            name in MARKS
        ):
            return name.lower()
    return None


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _line_of(function: ast.expr) -> int:
    return function.end_lineno or function.lineno


def _after_docstring(source: str) -> int:
    tree = ast.parse(source)
    end = tree.body[0].end_lineno if ast.get_docstring(tree) and tree.body else 0
    lines = source.splitlines()
    number = (end or 0) + 1
    while number <= len(lines) and not lines[number - 1].strip():
        number += 1
    return number


def paint(source: str) -> list[Markup]:
    """Keywords, strings, comments, definitions, numbers and verbs in spans, line by line."""
    lines = source.splitlines()
    done = [Markup("")] * len(lines)
    reached = [0] * len(lines)
    before = ""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        if look := _look(token, before, following.string):
            for row, start, end in _pieces(token, lines):
                plain, inside = lines[row][reached[row] : start], lines[row][start:end]
                done[row] += escape(plain) + Markup("<span {}>{}</span>").format(look, inside)
                reached[row] = end
        before = token.string
    return [painted + escape(line[at:]) for painted, line, at in zip(done, lines, reached, strict=True)]


def _look(token: tokenize.TokenInfo, before: str, after: str) -> Markup | None:
    """The attributes of a token's span; None for plain text."""
    text = token.string
    if token.type == tokenize.COMMENT:
        return Markup('class="c"')
    if token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING"):
        return Markup('class="s"')
    if token.type == tokenize.NUMBER:
        return Markup('class="n"')
    if token.type != tokenize.NAME:
        return None
    if keyword.iskeyword(text):
        return Markup('class="k"')
    if before in ("def", "class"):
        return Markup('class="d"')
    if text in MARKS:
        return Markup('class="v" data-verb="{}"').format(text.lower())
    if after == "(" and text in VERBS:
        return Markup('class="v" data-verb="{}"').format(VERBS[text])
    return None


def _pieces(token: tokenize.TokenInfo, lines: list[str]) -> Iterator[tuple[int, int, int]]:
    (first, start), (last, end) = token.start, token.end
    for number in range(first, last + 1):
        yield number - 1, start if number == first else 0, end if number == last else len(lines[number - 1])
