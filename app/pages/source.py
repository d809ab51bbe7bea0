"""The source of a model for its page: highlighted, with the thread states of each line.

The page highlights a line when its state is hovered, and a state when its line is hovered. Two things give a
line its states:

- A mark. `mark[STATE] = READING` sets the state of the lines that follow in its block, until the next mark.
  Lines after a loop or a branch that itself contains marks get no state, because it depends on the path
  taken.
- A verb. A call of a function in `VERBS` adds the state of that function: `recv` adds `reading`, also where a
  thread blocks in it and its lane shows `waiting`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import PurePath

from markupsafe import Markup, escape
from pygments.lexers.configs import NginxConfLexer
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

Kind = tuple[str, ...]  # a token type of Pygments; `kind in Name` holds for Name and for all its subtypes
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
# The CSS class of each kind of token. A subtype has the class of its type.
CLASSES = {
    Comment: "c",
    String: "s",
    Number: "n",
    Keyword: "k",
    Operator.Word: "k",
    Name.Function: "d",
    Name.Class: "d",
}
HANDLERS = ("handle", "put")  # calls without a state of their own that explain a model
LINES_MAX = 10
SOURCES_MAX = 64  # kept: models, and modules that they import
_LEXER = PythonLexer(stripnl=False, ensurenl=False)
_LEXERS = {".py": PythonLexer, ".js": JavascriptLexer, ".conf": NginxConfLexer}
MARKS = ("WAITING", "ACCEPTING", "READING", "HANDLING", "WRITING", "QUEUE", "BLOCKED")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a model's source: its number from 1, its text as HTML, its thread states."""

    number: int
    html: Markup
    states: tuple[str, ...]


@lru_cache(SOURCES_MAX)  # 60 ms for a model
def source_lines(source: str) -> tuple[Line, ...]:
    """Return the lines of `source` below its module docstring. Raises SyntaxError if it is not Python."""
    first, marks = _after_docstring(source), state_marks(source)
    lines = enumerate(highlight(source), start=1)
    return tuple(Line(number, html, marks.get(number, ())) for number, html in lines if number >= first)


def state_lines(source: str) -> list[Line]:
    """Return the lines in which a thread reads, waits, hands over, handles and answers.

    Raises SyntaxError if it is not Python.
    """
    calls = {
        _line_of(node.func)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and (_called(node.func) in VERBS or _called(node.func) in HANDLERS)
    }
    return [line for line in source_lines(source) if line.number in calls][:LINES_MAX]


def state_marks(source: str) -> dict[int, tuple[str, ...]]:
    """Return the states of each line by line number: the state of its mark first, then those of its verbs.

    Lines without a state are left out. Raises SyntaxError if `source` is not Python.
    """
    tree = ast.parse(source)
    found: dict[int, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            _follow(node.body, None, found)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (state := VERBS.get(_called(node.func))):
            found.setdefault(_line_of(node.func), []).append(state)
    return {number: tuple(dict.fromkeys(states)) for number, states in sorted(found.items())}


def set_states(tree: ast.AST) -> set[str]:
    """Return the states that code sets itself."""
    return {state for node in ast.walk(tree) if (state := _mark(node))}


def _follow(block: Sequence[ast.stmt], state: str | None, found: dict[int, list[str]]) -> None:
    """Add the states of a block to `found`. A mark applies to nested blocks too, until the next mark."""
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
            state = None  # it depends on the path taken


def _mark(statement: ast.AST) -> str | None:
    """Return "reading" for `…[STATE] = READING`, None for any other statement."""
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


def highlight(source: str) -> list[Markup]:
    """Return each line of `source` as HTML, its tokens in spans (css/components/source-code.css).

    All text is escaped. A call of `VERBS` and a name of `MARKS` get the class `v` and their state as
    `data-verb`.
    """
    lines = [Markup("")]
    for attributes, text in _runs(list(_LEXER.get_tokens(source))):
        first, *others = text.split("\n")
        lines[-1] += _span(attributes, first)
        lines += [_span(attributes, other) for other in others]
    return lines[:-1] if source.endswith("\n") else lines


def highlight_file(name: str, source: str) -> Markup:
    """Return a file in Python, JavaScript or nginx's language as HTML, without thread states."""
    lexer = _LEXERS[PurePath(name).suffix](stripnl=False, ensurenl=False)
    spans = (_span(_syntax(kind), text) for kind, text in lexer.get_tokens(source))
    return Markup("").join(spans)


def _runs(tokens: Sequence[tuple[Kind, str]]) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a span and its text, neighbours with the same attributes as one."""
    following = [text for _, text in tokens[1:]] + [""]
    pieces = ((_attributes(*token, after), token[1]) for token, after in zip(tokens, following, strict=True))
    for attributes, group in groupby(pieces, key=itemgetter(0)):
        yield attributes, "".join(text for _, text in group)


def _attributes(kind: Kind, text: str, after: str) -> str:
    """Return the attributes of a token's span; "" for plain text."""
    if kind in Name and text in MARKS:
        return f'class="v" data-verb="{text.lower()}"'
    if kind in Name and after.startswith("(") and text in VERBS and kind not in Name.Function:
        return f'class="v" data-verb="{VERBS[text]}"'
    return _syntax(kind)


def _syntax(kind: Kind) -> str:
    return next((f'class="{name}"' for each, name in CLASSES.items() if kind in each), "")


def _span(attributes: str, text: str) -> Markup:
    if not attributes or not text:
        return escape(text)
    return Markup("<span {}>{}</span>").format(Markup(attributes), text)
