"""The time that the lab takes to start and to stop an engine.

    python -m tests.bench.start_stop [--trials 20]

Start: from the call to ready (its threads run, and it has answered a request). Stop: of an idle engine, from
the call to the exit of its process. Exit code 1 if a p95 exceeds its target.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from app.lab import Lab
from app.settings import Settings

START_P95_MS, STOP_P95_MS = 500, 300


async def trial(lab: Lab, model: str) -> tuple[float, float]:
    """Return the ms to start and to stop one engine."""
    began = time.monotonic()
    engine = await lab.fleet.start(model, {})
    ready = time.monotonic()
    view = await lab.fleet.stop(engine.id)
    ended = time.monotonic()
    assert view.state == "stopped", view
    assert view.exit, view
    assert view.exit.code == 0, view
    return (ready - began) * 1000, (ended - ready) * 1000


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


async def measure(trials: int) -> bool:
    """Print one line per model. Return whether all are within the targets."""
    good = True
    print(
        f"{trials} trials, ms{'':10} start p50      p95  stop p50      p95   "
        f"targets {START_P95_MS} and {STOP_P95_MS}"
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder), max_engines=64)) as lab:
            for name, model in lab.models.views.items():
                if not model.available:
                    print(f"{name:20} skipped: {model.unavailable_reason}")
                    continue
                starts, stops = map(list, zip(*[await trial(lab, name) for _ in range(trials)], strict=True))
                within = p95(starts) < START_P95_MS and p95(stops) < STOP_P95_MS
                good = good and within
                print(
                    f"{name:20} {statistics.median(starts):12.0f} {p95(starts):8.0f}"
                    f" {statistics.median(stops):9.0f} {p95(stops):8.0f}   {'yes' if within else 'NO'}",
                    flush=True,
                )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    args = parser.parse_args()
    if not asyncio.run(measure(args.trials)):
        raise SystemExit("target missed")


if __name__ == "__main__":
    main()
