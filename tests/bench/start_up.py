"""The time of commands that measure nothing: wall-clock and CPU time, including children; medians of 10.

    python -m tests.bench.start_up [--repeats 10]

Exit code 1 if `threadlab models` takes more than 0.5 s. Needs a quiet machine: other load changes the
wall-clock time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

THREADLAB = str(Path(sys.executable).with_name("threadlab"))
COMMANDS = ("--version", "--help", "models", "token", "doctor", "run --help", "serve --help")
MODELS_MAX_S = 0.5


def measured(command: str) -> tuple[float, float]:
    """Return the wall-clock and CPU seconds of one call."""
    before, began_s = os.times(), time.perf_counter()
    subprocess.run([THREADLAB, *command.split()], capture_output=True, check=True)
    wall_s, after = time.perf_counter() - began_s, os.times()
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return wall_s, cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(f"{'command':16}{'wall s':>10}{'CPU s':>10}")
    walls = {}
    for command in COMMANDS:
        wall_s, cpu_s = (
            median(each) for each in zip(*(measured(command) for _ in range(repeats)), strict=True)
        )
        walls[command] = wall_s
        print(f"{command:16}{wall_s:>10.3f}{cpu_s:>10.3f}")
    if walls["models"] > MODELS_MAX_S:
        raise SystemExit(f"threadlab models took more than {MODELS_MAX_S} s")


if __name__ == "__main__":
    main()
