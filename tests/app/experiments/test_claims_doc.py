"""docs/claims.md is what its generator writes, and has every claim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.experiments.catalogue import catalogue
from tests.waiting import BOUND_S

ROOT = Path(__file__).parents[3]


def test_the_page_of_claims_is_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_claims.py")]
    made = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=BOUND_S, cwd=ROOT
    ).stdout
    assert (ROOT / "docs" / "claims.md").read_text(encoding="utf-8") == made, "run `make docs`"
    for claim in catalogue().values():
        assert f"\n## {claim.id}\n" in made and claim.text in made
