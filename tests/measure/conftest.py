"""Every measuring test must have a docstring about noise and a report of what it measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Report = Callable[[str], None]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raise a usage error for a test without a noise paragraph or without a report."""
    for item in items:
        if HERE not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        if "Noise:" not in (item.function.__doc__ or ""):
            raise pytest.UsageError(
                f'{item.nodeid}: its docstring needs a paragraph that begins with "Noise:"'
            )
        if "report" not in item.fixturenames:
            raise pytest.UsageError(
                f"{item.nodeid}: it must print what it measured with the fixture `report`"
            )


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Report]:
    """Return a function that prints what was measured. The test must call it at least once."""
    lines: list[str] = []

    def print_line(text: str) -> None:
        lines.append(text)
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}")  # noqa: T201

    yield print_line
    assert lines, "nothing was reported"
