"""Writes app/experiments/reference.json from experiments of every claim.

    threadlab experiment --all --json all.json
    python docs/make_reference.py all.json [more.json …]

A claim in a later file replaces the same claim of an earlier one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.experiments.reference import FILE

DIGITS = 6  # significant ones of a figure


def rounded(value: Any) -> Any:
    """Return a JSON value with its numbers shortened, so that the file is half as large."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def main(files: list[str]) -> None:
    """Merge the experiments of `files`, one line each."""
    git = ["git", "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    found: dict[str, Any] = {}
    for file in files:
        for view in json.loads(Path(file).read_text(encoding="utf-8"))["experiments"]:
            found[view["claim"]] = rounded(view)
    lines = ",\n".join(json.dumps(view, ensure_ascii=False, separators=(",", ":")) for view in found.values())
    FILE.write_text(f'{{"commit": "{commit}", "experiments": [\n{lines}\n]}}\n', encoding="utf-8")
    sys.stderr.write(f"{FILE}: {len(found)} claims, {FILE.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
