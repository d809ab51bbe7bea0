"""Leak test: 40,000 short connections of thirteen kinds on every engine.

    python -m tests.bench.churn [--connections 40000] [--rounds 4] [--model proactor]

Descriptors and anonymous memory are read after each round, when no connection is open. The first round is
warm-up (allocator arenas, caches); afterwards both must not grow. The proactor is measured with its default
buffer pool and with one that is much too small: sixteen buffers of 64 bytes for 52 connections, so that most
receives end with ENOBUFS. Exit code 1 if a response was wrong or a resource grew.
"""

from __future__ import annotations

import argparse
import time

from engines.catalogue import model_modules
from tests.engines.churn import Held, churn, held
from tests.engines.driver import VARIANTS, Variant, running

SMALL_POOL = {"buffers": 16, "buffer_size": 64}
GROWTH_MAX_KIB = 1024  # of anonymous memory after the first round: the noise of the allocator


def measure(variant: Variant, connections: int, rounds: int) -> bool:
    """Print one line. Return whether nothing grew and every response was right."""
    with running(variant) as engine:
        began_s, wrong = time.monotonic(), 0
        at_start = held(engine)
        readings: list[Held] = []
        for number in range(rounds):
            wrong += churn(engine, connections // rounds, seed=number)
            readings.append(held(engine, at_start))
        taken_s = time.monotonic() - began_s
        would_blocks = engine.board().counters["would_blocks"]
    descriptors, memory = [each.descriptors for each in readings], [each.anonymous_kib for each in readings]
    print(
        f"{variant.name:44} {connections / taken_s:8,.0f}/s {wrong:6} {would_blocks:12,} "
        f"{' '.join(map(str, descriptors)):>16} {' '.join(map(str, memory)):>28}",
        flush=True,
    )
    return not wrong and len(set(descriptors)) == 1 and memory[-1] - memory[0] < GROWTH_MAX_KIB


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--model", choices=list(model_modules()), help="only this one")
    args = parser.parse_args()
    wanted = [variant for variant in VARIANTS if args.model in (None, variant.model)]
    wanted += [variant.with_knobs(**SMALL_POOL) for variant in wanted if variant.model == "proactor"]
    print(f"{args.connections:,} connections, {args.rounds} rounds; read while no connection is open")
    print(f"{'':44} {'':>10} {'wrong':>6} {'would block':>12} {'descriptors':>16} {'RssAnon, KiB':>28}")
    leaking: list[str] = []
    for variant in wanted:
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:44} skipped: {reason}")
        elif not measure(variant, args.connections, args.rounds):
            leaking.append(variant.name)
    if leaking:
        raise SystemExit(f"leaks or wrong responses: {', '.join(leaking)}")


if __name__ == "__main__":
    main()
