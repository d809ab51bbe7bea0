"""Files and folders that only their owner can access, whatever the umask is."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700
GROUP_AND_OTHERS = 0o077


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    An existing one keeps its mode: an operator may share it on purpose.
    """
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)


def make_file(path: Path) -> None:
    """Create an empty file, or restrict an existing one to its owner.

    An existing file is not opened: closing a database file drops the locks that SQLite holds on it in this
    process.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    restrict_to_owner(path)


def restrict_to_owner(path: Path) -> None:
    """Remove the permissions of group and others from a regular file of this user, if it exists."""
    # PermissionError: a file system without modes
    with contextlib.suppress(FileNotFoundError, PermissionError):
        found = path.stat()
        is_own_file = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if is_own_file and found.st_mode & GROUP_AND_OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & FOLDER_MODE)


def write_file(path: Path, data: bytes) -> None:
    """Write a file that others cannot read at any time. Raises OSError."""
    path.unlink(missing_ok=True)  # an existing file may have another mode
    make_file(path)
    path.write_bytes(data)
