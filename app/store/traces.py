"""Recordings of traced runs: one compressed file per run in a folder next to the database."""

from __future__ import annotations

from pathlib import Path

from app.store import private_files


class TraceStore:
    """The folder of trace files, which is created with the first one. Thread-safe: one file per run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for file in folder.glob("run-*"):
            private_files.restrict_to_owner(file)

    def save(self, run: int, packed: bytes) -> None:
        """Write the trace of a run, all of it or nothing. Raises OSError."""
        private_files.make_folder(self._folder.parent)  # the data directory, if the database is elsewhere
        private_files.make_folder(self._folder)
        file, partial = self._file(run), self._file(run).with_suffix(".part")
        try:
            private_files.write_file(partial, packed)
            partial.replace(file)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def load(self, run: int) -> bytes | None:
        """Return the trace of a run; None if it was not traced."""
        file = self._file(run)
        return file.read_bytes() if file.is_file() else None

    def delete(self, run: int) -> None:
        """Delete the trace of a run, if there is one."""
        self._file(run).unlink(missing_ok=True)

    def _file(self, run: int) -> Path:
        return self._folder / f"run-{run}.trace"
