"""CPU µs/request of every engine under several interpreters, as multiples of nginx's in the same round.

    python -m tests.bench.interpreters [--trials 5] [--seconds 2] [--connections 64] PYTHON [PYTHON ...]

PYTHON is the path of an interpreter, or of a script that runs one, with httptools and uring-api installed.
Server on CPU 0, wrk on CPU 1, everything alternated. Prints a table in Markdown: median, and lowest and
highest of the trials.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from collections import defaultdict

from tests.engines.driver import VARIANTS, Variant

from .engines_vs_peers import Point, trials
from .servers import engine, nginx, require

VERSION = (
    "import platform, sys, httptools\n"
    "gil = getattr(sys, '_is_gil_enabled', lambda: True)()\n"
    "print(platform.python_version() + ('' if gil else ' without GIL'))"
)


def version(python: str) -> str:
    """Return the version of an interpreter, and whether it runs without the GIL."""
    done = subprocess.run([python, "-c", VERSION], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure(
    pythons: dict[str, str], variants: tuple[Variant, ...], number: int, seconds: float, point: Point
) -> dict[tuple[str, str], list[float]]:
    """Return the ratios to nginx by variant and version."""
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(number):
        (reference,) = trials(nginx(), [point], seconds)
        ratios["nginx, CPU µs/request", ""].append(reference.cpu_us)
        for variant in variants:
            for name, python in pythons.items():
                (trial,) = trials(engine(variant, python=python), [point], seconds)
                ratios[variant.name, name].append(trial.cpu_us / reference.cpu_us)
    return ratios


def cell(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("python", nargs="+")
    args = parser.parse_args()
    require("wrk", "taskset", "nginx", cpus=2)
    pythons = {version(python): python for python in args.python}
    ratios = measure(pythons, VARIANTS, args.trials, args.seconds, Point(args.connections))
    print(f"{args.connections} connections, {args.trials} trials of {args.seconds:.0f} s")
    print(f"nginx: {cell(ratios.pop(('nginx, CPU µs/request', '')))} CPU µs/request\n")
    print(f"| engine | {' | '.join(pythons)} |")
    print(f"| --- |{' --- |' * len(pythons)}")
    for variant in VARIANTS:
        print(f"| `{variant.name}` | {' | '.join(cell(ratios[variant.name, name]) for name in pythons)} |")


if __name__ == "__main__":
    main()
