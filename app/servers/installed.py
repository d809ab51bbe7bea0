"""What is installed: whether a server can be started here, and its version."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from app.servers.definition import ServerDefinition
from app.servers.environment import search_path, server_environment

PYTHON = "{python}"
COMMAND_TIMEOUT_S = 10
_VERSION = re.compile(r"(?<!\d)\d++(?:\.\d++)++")
_MISSING = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if not importlib.util.find_spec(name)]))
"""
_DISTRIBUTION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def unavailable_reason(definition: ServerDefinition, python: str) -> str | None:
    """Return why the server cannot be started here, in one sentence; None if it can be tried.

    python: the interpreter of the engines. Blocks for some milliseconds.
    """
    command = python if definition.argv[0] == PYTHON else definition.argv[0]
    if shutil.which(command, path=search_path()) is None:
        return f"{command} was not found."
    if missing := _missing_modules(definition.modules, python):
        return f"The Python package{'s' if len(missing) > 1 else ''} {', '.join(missing)} must be installed."
    return None


def _missing_modules(modules: Iterable[str], python: str) -> list[str]:
    wanted = tuple(modules)
    if not wanted:
        return []
    if _is_own(python):
        importlib.invalidate_caches()
        return [module for module in wanted if importlib.util.find_spec(module) is None]
    found = _output((python, "-c", _MISSING, *wanted))
    missing: list[str] = json.loads(found) if found else list(wanted)
    return missing


def version_of(definition: ServerDefinition, python: str) -> str | None:
    """Return the version of the installed server; None if it is unknown. Blocks for some milliseconds."""
    if definition.version_of:
        if not _is_own(python):
            return _output((python, "-c", _DISTRIBUTION, definition.version_of))
        try:
            return importlib.metadata.version(definition.version_of)
        except importlib.metadata.PackageNotFoundError:
            return None
    if definition.version_argv:
        found = _VERSION.search(_output(definition.version_argv) or "")
        return found[0] if found else None
    return None


@cache
def _is_own(python: str) -> bool:
    """Return whether an interpreter is that of this process, with the same packages."""
    return Path(python) == Path(sys.executable)


def _output(argv: Sequence[str]) -> str | None:
    """Return what a command prints on both streams; None if it fails."""
    try:
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
            env=server_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
