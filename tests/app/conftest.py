"""Labs that end with their test or session, cleanly, with nothing left behind; and the command line in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.cli import in_process
from app.cli.main import main
from app.fleet.models import Models
from tests.app.driver import Command, LabMaker, LabProcess, known_models


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """One lab for all tests of this test process; use `lab`, which tidies up after each test."""
    with contextlib.closing(LabProcess(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: LabProcess) -> Iterator[LabProcess]:
    """A running lab without live engines and without unfinished runs; its history holds those of earlier tests."""
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


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command line in this process, with a data directory of its own: a process of its own takes 1.2 s of CPU."""

    def code_of(args: tuple[str, ...]) -> int:
        try:
            return main(args)
        except SystemExit as end:
            return int(end.code or 0)

    def run(*args: str) -> CompletedProcess[str]:
        capsys.readouterr()
        with ThreadPoolExecutor(
            1
        ) as thread:  # a browser test of the same process may have an event loop on this one
            code = thread.submit(code_of, args).result()
        written = capsys.readouterr()
        return CompletedProcess(args, code, written.out, written.err)

    models = known_models()
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(Models, "load", lambda python: models)
    monkeypatch.setattr(in_process, "stop_on_signals", lambda lab: [])  # they reach the main thread only
    return run
