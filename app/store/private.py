"""Files and folders that only their owner can read, whatever the umask: labels and results are nobody else's."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Make a folder that is not there. One that is there keeps its mode: an operator may share it on purpose."""
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file where there is none.

    A file that is there is not opened: to close a database drops the locks that SQLite has on it in this process.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    close_to_others(path)


def close_to_others(path: Path) -> None:
    """Take the rights of group and others off a file of ours that is there, such as one of before 0.2."""
    with contextlib.suppress(
        FileNotFoundError, PermissionError
    ):  # PermissionError: a file system without modes
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & 0o077:
            path.chmod(stat.S_IMODE(found.st_mode) & FOLDER_MODE)


def write(path: Path, data: bytes) -> None:
    """Write a file that nobody else can read from its first byte on."""
    path.unlink(missing_ok=True)  # one that is there may have another mode
    make_file(path)
    path.write_bytes(data)
