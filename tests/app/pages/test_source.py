"""The highlighted source of the models: no character is lost, and each line has its thread states."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from markupsafe import Markup

from app.pages.source import MARKS, VERBS, highlight, source_lines, state_marks
from engines.catalogue import model_modules
from engines.common.board.board import THREAD_STATES

FILES = {name: str(module.__file__) for name, module in model_modules().items()}  # type: ignore[attr-defined]
SOURCES = {name: Path(file).read_text() for name, file in FILES.items()}
EACH = pytest.mark.parametrize("name", SOURCES)


def text(html: Markup) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@EACH
def test_highlighting_loses_no_character(name: str) -> None:
    assert [text(line) for line in highlight(SOURCES[name])] == SOURCES[name].splitlines()


@EACH
def test_the_page_shows_every_line_below_the_docstring(name: str) -> None:
    lines = list(source_lines(SOURCES[name]))
    everything = SOURCES[name].splitlines()
    assert [line.number for line in lines] == list(range(lines[0].number, len(everything) + 1))
    assert text(lines[0].html).startswith("from __future__")


@EACH
def test_every_mark_of_a_model_module_highlights_its_own_line(name: str) -> None:
    marks = state_marks(SOURCES[name])
    found = {
        number: word.lower()
        for number, line in enumerate(SOURCES[name].splitlines(), start=1)
        for word in re.findall(r"\[STATE\] = (\w+)", line)
    }
    assert found, "a model module without marks"
    assert {number: marks[number][0] for number in found} == found
    assert {state for states in marks.values() for state in states} <= set(THREAD_STATES)


@EACH
def test_every_verb_is_highlighted_as_the_state_of_its_line(name: str) -> None:
    shown = {state for line in source_lines(SOURCES[name]) for state in line.states}
    verbs = set(re.findall(r'data-verb="(\w+)"', "".join(highlight(SOURCES[name]))))
    assert verbs <= shown


def test_verbs_and_marks_map_to_thread_states() -> None:
    assert {*VERBS.values(), *(mark.lower() for mark in MARKS)} <= set(THREAD_STATES)


def test_recv_reads_also_where_a_thread_blocks_in_it() -> None:
    line = next(
        n for n, line in enumerate(SOURCES["blocking"].splitlines(), 1) if "connection.recv()" in line
    )
    assert state_marks(SOURCES["blocking"])[line] == ("waiting", "reading")


def test_a_mark_applies_until_the_next_one_and_not_after_a_branch_with_marks() -> None:
    source = """
def loop(mark):
    mark[STATE] = WAITING
    ready = poll()
    if ready:
        first(
            ready)
        mark[STATE] = READING
        second()
    third()
    mark[STATE] = QUEUE
    fourth()
"""
    waiting, reading, queue = ("waiting",), ("reading",), ("queue",)
    expected = {3: waiting, 4: waiting, 5: waiting, 6: waiting, 7: waiting, 8: reading, 9: reading}
    assert state_marks(source) == expected | {11: queue, 12: queue}


def test_strings_and_comments_of_several_lines_are_highlighted_line_by_line() -> None:
    assert highlight('x = """a\n  b"""\nif 1 and y:  # c\n') == [
        Markup('x = <span class="s">&#34;&#34;&#34;a</span>'),
        Markup('<span class="s">  b&#34;&#34;&#34;</span>'),
        Markup(
            '<span class="k">if</span> <span class="n">1</span> <span class="k">and</span> y:  '
            '<span class="c"># c</span>'
        ),
    ]


def test_a_call_of_a_verb_and_a_mark_have_their_state() -> None:
    assert highlight("def recv(a): mark[STATE] = READING; a.recv(1); recv") == [
        Markup(
            '<span class="k">def</span> <span class="d">recv</span>(a): mark[STATE] = '
            '<span class="v" data-verb="reading">READING</span>; a.'
            '<span class="v" data-verb="reading">recv</span>(<span class="n">1</span>); recv'
        )
    ]


def test_markup_in_a_source_stays_text() -> None:
    assert highlight("x = '<script>'  # <b>") == [
        Markup('x = <span class="s">&#39;&lt;script&gt;&#39;</span>  <span class="c"># &lt;b&gt;</span>')
    ]
