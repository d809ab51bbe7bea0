"""The files that a run from the shell leaves: checked before the run, which may be long, and written after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from app import shell
from app.errors import Invalid, LabError
from app.report.exports import CSV, JUNIT, PERFETTO, REPORT, Export

FLAGS: dict[str, Export] = {"csv": CSV, "junit": JUNIT, "html": REPORT, "perfetto": PERFETTO}


def checked(asked: Mapping[str, str | None]) -> dict[str, str]:
    """Flag and file (- is stdout) of those that were asked for. Raises Invalid if they could not be written."""
    files = {flag: file for flag, file in asked.items() if file}
    on_stdout = [f"--{flag}" for flag, file in files.items() if file == "-"]
    if len(on_stdout) > 1:
        raise Invalid(f"Only one of {', '.join(on_stdout)} can go to stdout.")
    for flag, file in files.items():
        if file != "-" and (Path(file).is_dir() or not Path(file).parent.is_dir()):
            raise Invalid(f"--{flag}: {file} cannot be written: it is a folder, or in a folder that is not there.")
    return files


def leave(files: Mapping[str, str], make: Callable[[Export], str], flags: Mapping[str, Export] = FLAGS) -> list[str]:
    """Make and write each file that is an export; answers a sentence for each that could not be."""
    problems = []
    for flag in (each for each in flags if each in files):
        try:
            shell.write(files[flag], make(flags[flag]))
        except LabError as error:
            problems.append(f"--{flag}: {error.detail}")
        except OSError as error:
            problems.append(f"--{flag}: {files[flag]} cannot be written: {error.strerror}.")
    return problems
