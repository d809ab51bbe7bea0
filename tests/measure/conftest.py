"""What every measuring test must have: a docstring that says how it withstands noise, and a report of what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Report = Callable[[str], None]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that does not say how it defends itself, or that has no report."""
    for item in items:
        if HERE not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        if "Noise:" not in (item.function.__doc__ or ""):
            raise pytest.UsageError(
                f'{item.nodeid}: its docstring needs a paragraph that begins with "Noise:"'
            )
        if "report" not in item.fixturenames:
            raise pytest.UsageError(f"{item.nodeid}: it must print what it measured, by the fixture `report`")


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Report]:
    """Print a line with what was measured, whether the test passes or not. It must be called at least once."""
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}")  # noqa: T201

    yield say
    assert lines, "nothing was reported"
