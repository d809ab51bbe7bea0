"""The files that a command writes: checked before a run, which may take long, and written after it."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import streams
from app.errors import Invalid, LabError

if TYPE_CHECKING:
    from app.report.export import Export


def check_writable(files: Mapping[str, str | None]) -> dict[str, str]:
    """Return those of `files` (option → path, - for stdout) that were given.

    Raises Invalid if one is not writable.
    """
    given = {option: file for option, file in files.items() if file}
    on_stdout = [f"--{option}" for option, file in given.items() if file == "-"]
    if len(on_stdout) > 1:
        raise Invalid(f"Only one of {', '.join(on_stdout)} can go to stdout.")
    for option, file in given.items():
        if file != "-" and (reason := _why_not_writable(Path(file))):
            raise Invalid(f"--{option}: cannot write {file}: {reason}.")
    return given


def write(option: str, file: str, text: str) -> list[str]:
    """Write `text` to `file`, - for stdout.

    Returns a sentence if it cannot be written, otherwise nothing.
    """
    try:
        if file == "-":
            streams.write_export(sys.stdout, text)
        else:
            Path(file).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        return [f"--{option}: cannot write {file}: {error.strerror}."]
    return []


def write_exports(
    files: Mapping[str, str], exports: Mapping[str, Export], make: Callable[[Export], str]
) -> list[str]:
    """Make and write each of `files` (option → path) that is an export.

    Returns a sentence for each failure.
    """
    problems = []
    for option in (each for each in exports if each in files):
        try:
            problems += write(option, files[option], make(exports[option]))
        except LabError as error:
            problems.append(f"--{option}: {error.detail}")
    return problems


def run_exports() -> Mapping[str, Export]:
    """Return the exports of a run by the option that writes them."""
    from app.report.run_exports import FLAGS

    return FLAGS


def json_text(content: Any) -> str:
    """Return `content` as indented JSON with a newline at its end."""
    return json.dumps(content, indent=2) + "\n"


def run_json(view: Any) -> dict[str, Any]:
    """Return a RunView as the API has it."""
    from pydantic import TypeAdapter

    from app.schemas.run import RunView

    found: dict[str, Any] = TypeAdapter(RunView).dump_python(view, mode="json")
    return found


def _mode(path: Path) -> int:
    """Return `st_mode`; 0 if there is no such file. `Path.exists` hides other errors since CPython 3.14."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _why_not_writable(file: Path) -> str | None:
    """Return the reason, as far as it is known without writing; None if there is none."""
    try:
        mode, parent_mode = _mode(file), _mode(file.parent)
    except OSError as error:  # of a directory that may not be entered, or a name that is too long
        return error.strerror or str(error)
    if stat.S_ISDIR(mode):
        return "it is a directory"
    if not stat.S_ISDIR(parent_mode):
        return "its directory does not exist"
    if mode:
        return None if os.access(file, os.W_OK) else "permission denied"
    return None if os.access(file.parent, os.W_OK | os.X_OK) else "its directory is not writable"
