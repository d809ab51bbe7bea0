"""What traced runs have left: one compressed file each, beside the history. Gone with its run."""

from __future__ import annotations

from pathlib import Path

from app.lab.recording import Recording


class TraceStore:
    """The folder of them. Made with the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, run: int, recording: Recording) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        whole, part = self._file(run), self._file(run).with_suffix(".part")
        try:
            part.write_bytes(recording.pack())
            part.replace(whole)  # there is the whole of it, or nothing
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def load(self, run: int) -> Recording | None:
        """None where the run was not traced."""
        file = self._file(run)
        return Recording.unpack(file.read_bytes()) if file.is_file() else None

    def delete(self, run: int) -> None:
        self._file(run).unlink(missing_ok=True)

    def _file(self, run: int) -> Path:
        return self._folder / f"run-{run}.trace"
