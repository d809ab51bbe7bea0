"""A control plane that tests a small claim in this data directory, until it is killed: `killed.py DIR`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.events import Event
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.settings import Settings
from tests.app.experiments.tiny import tiny_catalogue


def report(event: Event) -> None:
    sys.stdout.write(f"{event.name}\n")
    sys.stdout.flush()


async def main(data_dir: Path) -> None:
    async with Lab.open(Settings(data_dir=data_dir)) as lab:
        [view] = await lab.experiments.submit(ExperimentRequest(claims=["tiny-ratio"], seed=1, rounds=3))
        lab.events.subscribe(report)
        await lab.experiments.finished(view.id)


if __name__ == "__main__":
    with tiny_catalogue():
        asyncio.run(main(Path(sys.argv[1])))
