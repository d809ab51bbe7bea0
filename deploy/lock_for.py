"""Print a lock as it applies to CPython on Linux: without markers, and without entries for other systems.

    deploy/lock_for.py 3.11 requirements.lock

pip evaluates markers for the interpreter that runs it, even with --python-version. Needs `packaging`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement


def applicable(lock: str, python: str) -> Iterator[str]:
    """Yield the entries of a lock, each with its hashes in one line, that apply to this version of Python."""
    system = {
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    for line in lock.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text, *hashes = line.split(" --hash=")
        entry = Requirement(text.strip())
        if entry.marker is None or entry.marker.evaluate(system):
            yield " ".join([f"{entry.name}{entry.specifier}", *(f"--hash={each.strip()}" for each in hashes)])


if __name__ == "__main__":
    sys.stdout.writelines(f"{entry}\n" for entry in applicable(Path(sys.argv[2]).read_text(), sys.argv[1]))
