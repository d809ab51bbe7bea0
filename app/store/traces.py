"""What traced runs have left: one compressed file each, beside the history, for its owner only. Gone with its run."""

from __future__ import annotations

from pathlib import Path

from app.store import private


class TraceStore:
    """The folder of them. Made with the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for file in folder.glob("run-*"):
            private.close_to_others(file)

    def save(self, run: int, packed: bytes) -> None:
        private.make_folder(self._folder.parent)  # the data directory, where the database is elsewhere
        private.make_folder(self._folder)
        whole, part = self._file(run), self._file(run).with_suffix(".part")
        try:
            private.write(part, packed)
            part.replace(whole)  # there is the whole of it, or nothing
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def load(self, run: int) -> bytes | None:
        """None where the run was not traced."""
        file = self._file(run)
        return file.read_bytes() if file.is_file() else None

    def delete(self, run: int) -> None:
        self._file(run).unlink(missing_ok=True)

    def _file(self, run: int) -> Path:
        return self._folder / f"run-{run}.trace"
