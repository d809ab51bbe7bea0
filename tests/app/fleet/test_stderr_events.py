"""Lines of an engine's stderr as events."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.fleet.stderr_events import LINE_CHARACTERS_MAX, LINES_PER_S, RateLimiter


def test_a_flood_of_lines_is_limited_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("app.fleet.stderr_events.time", SimpleNamespace(monotonic=lambda: clock[0]))
    lines: list[str] = []
    limiter = RateLimiter(lines.append)
    for _ in range(LINES_PER_S + 1234):
        limiter.add("x" * 10_000)
    assert len(lines) == LINES_PER_S and all(len(line) <= LINE_CHARACTERS_MAX + 1 for line in lines)
    clock[0] = 101.5
    limiter.add("one more")
    assert "1,234 more lines" in lines[-2] and lines[-1] == "one more"
