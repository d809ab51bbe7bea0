"""Fixtures: a server, a lab, and short timeouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.web.http_protocol import TIMEOUT_S, Phase
from tests.app.in_process_lab import InProcessLab
from tests.app.web.served import CONNECTIONS_MAX, Served

SHORT_S = 0.05


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served(CONNECTIONS_MAX)) as server:
        yield server


@pytest.fixture
def shorten_timeout(monkeypatch: pytest.MonkeyPatch) -> Callable[[Phase], None]:
    """Return a function that makes the timeout of a phase short."""
    return lambda phase: monkeypatch.setitem(TIMEOUT_S, phase, SHORT_S)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[InProcessLab]:
    with closing(InProcessLab(tmp_path)) as lab:
        yield lab
