"""Claims that are false on purpose: the lab must refute them for real.

    python -m tests.bench.refuted

- pool-uses-cores with a pool of one worker, which uses no more cores than the reactor.
- reactor-stalls with a handler that sleeps elsewhere: the server gets no slow requests.

Seven rounds each, about 4 minutes on a quiet machine. Exit code 1 if one of them holds.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from app.experiments.catalogue import catalogue
from app.experiments.cells import POOL, work
from app.experiments.claim import Cell, Claim
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.schemas.experiment import ExperimentView
from app.schemas.states import Answer
from app.settings import Settings

REFUTED = (Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE)


def one_worker(cell: Cell) -> Cell:
    """Return a cell whose pool has one worker."""
    entries = (replace(each, knobs={"workers": 1}) if each == POOL else each for each in cell.entries)
    return replace(cell, entries=tuple(entries))


def no_slow_requests(cell: Cell) -> Cell:
    """Return a cell without slow requests."""
    return replace(cell, plan={**cell.plan, "work": [work("plaintext")]})


def altered() -> dict[str, Claim]:
    """Return the two claims with their altered cells, by id."""
    claims = catalogue()
    changes = {"pool-uses-cores": one_worker, "reactor-stalls": no_slow_requests}
    return {
        id: replace(claims[id], cells=tuple(map(change, claims[id].cells))) for id, change in changes.items()
    }


async def measure(claims: dict[str, Claim]) -> list[ExperimentView]:
    """Test the claims in one session of a temporary lab."""
    with tempfile.TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            views = await lab.experiments.submit(ExperimentRequest(claims=tuple(claims)))
            return [await lab.experiments.finished(view.id) for view in views]


def main() -> None:
    claims = altered()
    with patch("app.experiments.catalogue.catalogue", lambda: claims):
        views = asyncio.run(measure(claims))
    for view in views:
        print(f"{view.claim}: {view.answer}")
        for sentence in view.because:
            print(f"  {sentence}")
    if not all(view.answer in REFUTED for view in views):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
