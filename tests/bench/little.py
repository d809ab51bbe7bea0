"""Check Little's law on ten unsaturated runs: requests in flight = rate x time in the system, within 3 %.

    python -m tests.bench.little [--seconds 3]

Open and closed loads, several engines, with and without work that sleeps. Prints each residual, and the
requests that the generator and the engine counted. Exit code 1 if a residual exceeds 3 % or the two counts
differ.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.lab import Lab
from app.runs.request import RunRequest
from app.settings import Settings

RESIDUAL_MAX = 0.03
OPEN = "constant-arrival-rate"
SLEEP: list[dict[str, Any]] = [{"kind": "sleep", "params": {"ms": 5}}]
RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reactor", {"executor": OPEN, "rate_per_s": 500}),
    ("reactor", {"executor": OPEN, "rate_per_s": 5000}),
    ("reactor", {"executor": OPEN, "rate_per_s": 2000, "spacing": "poisson"}),
    ("blocking", {"executor": OPEN, "rate_per_s": 1000, "work": SLEEP}),
    ("reactor-pool", {"executor": OPEN, "rate_per_s": 400, "work": SLEEP}),
    ("main-sub", {"executor": OPEN, "rate_per_s": 2000, "spacing": "poisson"}),
    ("prefork", {"executor": OPEN, "rate_per_s": 2000}),
    ("reactor", {"vus": 32, "think_time_ms": 20}),
    ("blocking", {"vus": 32, "think_time_ms": 10, "work": SLEEP}),
    ("main-sub", {"vus": 64, "think_time_ms": 30}),
)


async def run_all(seconds: float) -> bool:
    """Print one line per run. Return whether all are within the limits."""
    good = True
    with TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            for model, fields in RUNS:
                plan = {**fields, "duration_s": seconds, "warmup_s": 1}
                view = await lab.runs.submit(RunRequest(model=model, plan=plan))
                view = await lab.runs.finished(view.id)
                assert view.verdict, view.failure
                evidence = view.verdict.evidence
                residual, answered, counted = (
                    evidence[name] for name in ("little_residual", "answered", "counted")
                )
                good &= isinstance(residual, float) and abs(residual) <= RESIDUAL_MAX and answered == counted
                shown = f"{100 * residual:+6.2f} %" if isinstance(residual, float) else "–"
                print(
                    f"{model:14}{shown:>9} {answered:>9,} {counted:>9,}  "
                    f"{view.verdict.title:13} {view.plan_text}",
                    flush=True,
                )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    print(f"{'':14}{'residual':>9} {'answered':>9} {'counted':>9}")
    sys.exit(0 if asyncio.run(run_all(args.seconds)) else 1)


if __name__ == "__main__":
    main()
