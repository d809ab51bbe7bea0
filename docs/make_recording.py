"""Writes static/recorded/one-slow-request.json: the demonstration of the home page, recorded on this machine.

    python docs/make_recording.py

The home page shows it until the demonstration was run there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import paths
from app.lab import Lab
from app.schemas.states import DemonstrationState
from app.settings import Settings
from app.timestamps import rfc3339_now

FILE = paths.STATIC / "recorded/one-slow-request.json"
POLL_S = 0.2


async def record(folder: Path) -> dict[str, Any]:
    """Run the demonstration in a temporary lab, and return the excerpts of both runs."""
    async with Lab.open(Settings(data_dir=folder)) as lab:
        lab.demonstration.start()
        while lab.demonstration.is_running:
            await asyncio.sleep(POLL_S)
        view = lab.demonstration.view
        if view is None or view.state != DemonstrationState.FINISHED:
            raise SystemExit(view.failure if view else "The demonstration did not start.")
        first = lab.runs.excerpt(view.runs[0])
        excerpts = [first, *(lab.runs.excerpt(id, first.window_us) for id in view.runs[1:])]
        return {
            "recorded_at": rfc3339_now(),
            "cores": lab.system.cores,
            "excerpts": [asdict(excerpt) for excerpt in excerpts],
        }


def main() -> None:
    """Record and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = asyncio.run(record(Path(folder)))
    FILE.write_text(json.dumps(recorded, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stderr.write(f"{FILE}: {FILE.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
