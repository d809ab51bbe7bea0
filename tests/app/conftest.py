"""Labs that end with their test or module, cleanly, with nothing left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driver import LabMaker, LabProcess


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """One lab for a module; use `lab`, which tidies up after each test."""
    with contextlib.closing(LabProcess(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: LabProcess) -> Iterator[LabProcess]:
    """A running lab without engines and without runs that go."""
    yield shared_lab
    shared_lab.tidy()


@pytest.fixture
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabMaker]:
    """Labs of the test's own, with flags of `serve`."""
    with contextlib.ExitStack() as stack:

        def make(*flags: str, data_dir: Path | None = None, port: int = 0) -> LabProcess:
            where = data_dir or tmp_path_factory.mktemp("lab")
            return stack.enter_context(contextlib.closing(LabProcess(where, *flags, port=port)))

        yield make
