"""A backtracking matcher that counts its steps: how the work of a regular expression grows, without a clock.

It interprets the parse tree of the `re` module in the order in which `re` tries alternatives. `re` skips some
of these steps (a literal that must follow, a prefix that must match), so the count is an upper bound of what
`re` does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

_parser: Any = importlib.import_module("re._parser")

Then = Callable[[int], bool]
Spans = list[tuple[int, int]]

ONE_CHARACTER = frozenset(("LITERAL", "NOT_LITERAL", "ANY", "IN"))
CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


class TooManySteps(Exception):
    """The matcher took more steps than it may."""


class Matcher:
    """Matches a compiled pattern against one text.

    `steps` counts the elements of the pattern that were tried at a position. TooManySteps is raised above
    `steps_max`.
    """

    def __init__(self, pattern: re.Pattern[Any], text: Any, steps_max: int) -> None:
        source = pattern.pattern
        self._tree = _parser.parse(source, pattern.flags & ~re.DEBUG)
        self._ascii = re.ASCII if isinstance(source, bytes) else pattern.flags & re.ASCII
        self._flags = pattern.flags
        self._text: str = text.decode("latin-1") if isinstance(text, bytes) else text
        self._steps_max = steps_max
        self._accepted: dict[Any, bool] = {}  # by a test for one character, and the character
        self._end = -1
        self.steps = 0

    def spans(self, method: str) -> Spans:
        """Return the spans of all matches that a method of `re.Pattern` finds."""
        if method in ("match", "fullmatch"):
            return self._match_at(0, full=method == "fullmatch")
        found = self._find_all()
        return [span for span in [next(found, None)] if span] if method == "search" else list(found)

    def _find_all(self) -> Iterator[tuple[int, int]]:
        start, last_end = 0, -1
        while start <= len(self._text):
            match = self._match_at(start, not_empty_at=last_end)
            if match:
                yield match[0]
                start = last_end = match[0][1]
            else:
                start += 1

    def _match_at(self, start: int, full: bool = False, not_empty_at: int = -1) -> Spans:
        def accept(end: int) -> bool:
            self._end = end
            return (end == len(self._text) if full else True) and not (end == start == not_empty_at)

        return [(start, self._end)] if self._run(self._tree, 0, start, accept) else []

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._steps_max:
            raise TooManySteps

    def _run(self, sequence: Any, index: int, at: int, then: Then) -> bool:
        """Match a sequence from its element `index` on, and then what follows it."""
        while index < len(sequence):
            op, argument = sequence[index]
            self._step()
            index += 1
            if str(op) not in ONE_CHARACTER:
                rest = partial(self._run_rest, sequence, index, then)
                return self._run_group(str(op), argument, at, rest)
            if not self._accepts(op, argument, at):
                return False
            at += 1
        return then(at)

    def _run_rest(self, sequence: Any, index: int, then: Then, at: int) -> bool:
        return self._run(sequence, index, at, then)

    def _run_group(self, op: str, argument: Any, at: int, then: Then) -> bool:
        match op:
            case "AT":
                return self._is_at(str(argument), at) and then(at)
            case "BRANCH":
                return any(self._run(each, 0, at, then) for each in argument[1])
            case "SUBPATTERN":
                return self._run(argument[3], 0, at, then)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(argument, at, then, greedy=op == "MAX_REPEAT")
            case "POSSESSIVE_REPEAT":
                end = self._first_end(lambda accept: self._repeat(argument, at, accept, greedy=True))
                return end is not None and then(end)
            case "ATOMIC_GROUP":
                end = self._first_end(lambda accept: self._run(argument, 0, at, accept))
                return end is not None and then(end)
            case "ASSERT" | "ASSERT_NOT":
                direction, inner = argument
                start = at if direction > 0 else at - inner.getwidth()[0]
                holds = start >= 0 and self._run(inner, 0, start, lambda _: True)
                return holds == (op == "ASSERT") and then(at)
        raise NotImplementedError(f"{op} is not implemented: no pattern has used it so far")

    @staticmethod
    def _first_end(run: Callable[[Then], bool]) -> int | None:
        ends: list[int] = []

        def accept(end: int) -> bool:
            ends.append(end)
            return True

        return ends[0] if run(accept) else None

    def _repeat(self, argument: Any, at: int, then: Then, greedy: bool) -> bool:
        least, most, inner = argument
        if len(inner) == 1 and str(inner[0][0]) in ONE_CHARACTER:
            return self._repeat_character(argument, at, then, greedy)

        def again(count: int, start: int) -> bool:
            self._step()

            def one_more() -> bool:
                return count < most and self._run(
                    inner, 0, start, lambda end: (end > start or count < least) and again(count + 1, end)
                )

            if count < least:
                return one_more()
            return one_more() or then(start) if greedy else then(start) or one_more()

        return again(0, at)

    def _repeat_character(self, argument: Any, at: int, then: Then, greedy: bool) -> bool:
        """Repeat one character without recursion: the runs of the texts are long."""
        least, most, ((op, inner),) = argument
        count = 0
        while count < most and (greedy or count < least) and self._accepts(op, inner, at + count):
            self._step()
            count += 1
        if greedy:
            return any(self._try_then(then, at + n) for n in range(count, least - 1, -1))
        while count >= least:
            if self._try_then(then, at + count):
                return True
            if count >= most or not self._accepts(op, inner, at + count):
                return False
            count += 1
        return False

    def _try_then(self, then: Then, at: int) -> bool:
        self._step()
        return then(at)

    def _accepts(self, op: Any, argument: Any, at: int) -> bool:
        if at >= len(self._text):
            return False
        key = id(argument) if isinstance(argument, list) else (str(op), argument), self._text[at]
        if key not in self._accepted:
            self._accepted[key] = self._accepts_character(str(op), argument, self._text[at])
        return self._accepted[key]

    def _accepts_character(self, op: str, argument: Any, character: str) -> bool:
        cases = {character}
        if self._flags & re.IGNORECASE:
            cases |= {character.lower(), character.upper()}
        match op:
            case "LITERAL":
                return chr(argument) in cases
            case "NOT_LITERAL":
                return chr(argument) not in cases
            case "ANY":
                return character != "\n" or bool(self._flags & re.DOTALL)
            case "RANGE":
                return any(argument[0] <= ord(case) <= argument[1] for case in cases if len(case) == 1)
            case "CATEGORY":
                return re.match(CATEGORIES[str(argument)], character, self._ascii) is not None
        negated = str(argument[0][0]) == "NEGATE"
        return negated != any(
            self._accepts_character(str(op), each, character) for op, each in argument[negated:]
        )

    def _is_at(self, where: str, at: int) -> bool:
        text, multiline = self._text, self._flags & re.MULTILINE
        match where:
            case "AT_BEGINNING":
                return at == 0 or bool(multiline and text[at - 1] == "\n")
            case "AT_BEGINNING_STRING":
                return at == 0
            case "AT_END":
                last = at >= len(text) - 1 if text[-1:] == "\n" else at == len(text)
                return last or bool(multiline and text[at : at + 1] == "\n")
            case "AT_END_STRING":
                return at == len(text)
        raise NotImplementedError(f"{where} is not implemented: no pattern has used it so far")
