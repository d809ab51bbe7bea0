"""Count the bytecode instructions of a call: how the work of Python code grows, without a clock."""

from __future__ import annotations

import contextlib
import sys
from types import FrameType
from typing import Any

from app.errors import Invalid

from .rows import Use


class TooManyInstructions(BaseException):
    """A call executed more instructions than it may. No handler in the code under test catches it."""


def executed(use: Use, text: Any, instructions_max: int) -> int:
    """Return how many instructions `use(text)` executes in Python code; what C code does is not counted.

    The call may refuse the text. TooManyInstructions is raised above `instructions_max`.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        if count > instructions_max:
            raise TooManyInstructions
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(Invalid, ValueError):
            use(text)
    finally:
        sys.settrace(before)
    return count
