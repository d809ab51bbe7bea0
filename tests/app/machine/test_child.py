"""Child processes: the length of a logged line is bounded."""

from __future__ import annotations

import sys

from app.machine.child import LINE_BYTES_MAX, Child
from tests.app.driver import run_in_thread


def test_a_line_without_newline_is_split() -> None:
    async def flood() -> list[str]:
        child = Child.spawn(
            [sys.executable, "-c", f"import os; os.write(2, b'x' * {3 * LINE_BYTES_MAX} + b'end')"]
        )
        await child.exited
        return list(child.log)

    lines = run_in_thread(flood)
    assert "".join(lines) == "x" * 3 * LINE_BYTES_MAX + "end"
    assert max(map(len, lines)) < 3 * LINE_BYTES_MAX
