"""Little's law on ten runs that saturate nobody: requests in flight = rate x time in the system, within 3 %?

    python -m tests.bench.little [--seconds 3]

Both models of load, several engines, with and without work that waits. Prints each residual and the totals of both
sides; ends with 1 if one is off by more than 3 % or the sides have counted differently.
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

OFF_MAX = 0.03
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
    good = True
    with TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            for model, fields in RUNS:
                plan = {**fields, "duration_s": seconds, "warmup_s": 1}
                view = await lab.runs.submit(RunRequest(model=model, plan=plan))
                view = await lab.runs.finished(view.id)
                assert view.verdict, view.failure
                seen = view.verdict.evidence
                off, answered, counted = (seen[name] for name in ("little_residual", "answered", "counted"))
                good &= isinstance(off, float) and abs(off) <= OFF_MAX and answered == counted
                said = f"{100 * off:+6.2f} %" if isinstance(off, float) else "–"
                print(
                    f"{model:14}{said:>9} {answered:>9,} {counted:>9,}  {view.verdict.title:13} {view.plan_text}",
                    flush=True,
                )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3)
    asked = parser.parse_args()
    print(f"{'':14}{'off by':>9} {'answered':>9} {'counted':>9}")
    sys.exit(0 if asyncio.run(run_all(asked.seconds)) else 1)


if __name__ == "__main__":
    main()
