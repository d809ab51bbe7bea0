"""A server or a lab for each test, and a way to shorten one deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.web.http_protocol import WITHIN_S, Phase
from tests.app.inside import LabInside
from tests.app.web.served import MOST, Served

SOON_S = 0.05


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served(MOST)) as one:
        yield one


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[Phase], None]:
    """Make one deadline short."""
    return lambda phase: monkeypatch.setitem(WITHIN_S, phase, SOON_S)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[LabInside]:
    with closing(LabInside(tmp_path)) as lab:
        yield lab
