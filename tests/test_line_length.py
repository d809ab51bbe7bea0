"""No line is longer than 110 columns, also where the formatters leave it alone: comments and long texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import paths

COLUMNS_MAX = 110
ROOT = Path(__file__).parent.parent
VENDOR = paths.STATIC / "vendor"
# Which files of which folders. Python has its own limit, which ruff checks.
CHECKED = ((paths.TEMPLATES, ("html", "css")), (paths.STATIC, ("css", "js")))
UNBREAKABLE = re.compile(r"\S*https?://\S+")


def too_long(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Return `path:line: columns` of each line over the limit, apart from one that is a URL."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {len(line)} columns"
        for suffix in suffixes
        for path in sorted(folder.rglob(f"*.{suffix}"))
        if VENDOR not in path.parents
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > COLUMNS_MAX and not UNBREAKABLE.fullmatch(line.strip())
    ]


@pytest.mark.parametrize(("folder", "suffixes"), CHECKED, ids=lambda value: getattr(value, "name", None))
def test_no_line_is_longer_than_the_limit(folder: Path, suffixes: tuple[str, ...]) -> None:
    assert any(True for suffix in suffixes for _ in folder.rglob(f"*.{suffix}"))
    assert too_long(folder, suffixes) == []


def test_a_long_line_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "a.css").write_text(f"/* {'x ' * 60}*/\n/* short */\n")
    (tmp_path / "b.css").write_text(f"  https://example.test/{'x' * 120}\n")
    assert too_long(tmp_path, ("css",)) == ["a.css:1: 125 columns"]
