"""A catalogue with a server for each mode of tiny.py."""

from __future__ import annotations

import sys
from pathlib import Path

TINY = Path(__file__).with_name("tiny.py")
MODES = ("serve", "fork", "daemon", "stubborn", "exits", "silent", "failing", "flood")


def write_catalogue(folder: Path) -> Path:
    """Write the catalogue and return its path."""
    path = folder / "servers.toml"
    path.write_text("\n".join(map(_entry, MODES)))
    return path


def _entry(mode: str) -> str:
    return f"[{mode}]\nargv = ['{sys.executable}', '{TINY}', '{mode}', '{{host}}', '{{port}}']\n"
