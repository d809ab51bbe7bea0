"""The files that a run from the shell leaves: checked before the run, which may be long, and written after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from app.cli import in_process
from app.errors import Invalid, LabError
from app.report.export import Export
from app.report.run_exports import FLAGS as FLAGS


def checked(asked: Mapping[str, str | None]) -> dict[str, str]:
    """Flag and file (- is stdout) of those that were asked for. Raises Invalid if they could not be written."""
    files = {flag: file for flag, file in asked.items() if file}
    on_stdout = [f"--{flag}" for flag, file in files.items() if file == "-"]
    if len(on_stdout) > 1:
        raise Invalid(f"Only one of {', '.join(on_stdout)} can go to stdout.")
    for flag, file in files.items():
        if file != "-" and (reason := _not_writable(Path(file))):
            raise Invalid(f"--{flag}: {file} cannot be written: {reason}.")
    return files


def _not_writable(file: Path) -> str | None:
    """Why a file could not be written, as far as that can be known without writing it."""
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return "there is no such folder"
    if file.exists():
        return None if os.access(file, os.W_OK) else "it may not be changed"
    return None if os.access(file.parent, os.W_OK | os.X_OK) else "nothing may be written into its folder"


def written(flag: str, file: str, text: str) -> list[str]:
    """Write one file; answers a sentence if that could not be."""
    try:
        in_process.write(file, text)
    except OSError as error:
        return [f"--{flag}: {file} cannot be written: {error.strerror}."]
    return []


def leave(
    files: Mapping[str, str], make: Callable[[Export], str], flags: Mapping[str, Export] = FLAGS
) -> list[str]:
    """Make and write each file that is an export; answers a sentence for each that could not be."""
    problems = []
    for flag in (each for each in flags if each in files):
        try:
            problems += written(flag, files[flag], make(flags[flag]))
        except LabError as error:
            problems.append(f"--{flag}: {error.detail}")
    return problems
