"""Twenty drains of every engine, on kept connections and under churn, each while 64 connections are at work.

    python -m tests.bench.drains [--drains 20] [--connections 64] [--model reactor]

Lost is a request that the engine had taken, by what its client can know, and did not answer whole. Refused is who came
after the signal. The time is from the signal to the end of the process: 0.1 s of it is what idle peers get.
"""

from __future__ import annotations

import argparse
from collections import Counter
from statistics import median

from engines.catalogue import model_modules
from tests.engines.crowds import allow_descriptors
from tests.engines.drains import Drained, drain_under_churn, drain_under_load
from tests.engines.driver import VARIANTS, Variant, running

KINDS = {"kept": drain_under_load, "churn": drain_under_churn}


def one(variant: Variant, kind: str, connections: int, seed: int) -> Drained:
    with running(variant) as engine:
        return KINDS[kind](engine, connections, seed)


def measure(variant: Variant, kind: str, drains: int, connections: int) -> int:
    """Print one line; answers how much was lost."""
    all_ = [one(variant, kind, connections, seed) for seed in range(drains)]
    seconds = [drain.seconds for drain in all_]
    lost = [how for drain in all_ for how in drain.lost]
    print(
        f"{variant.name:28} {kind:6} {len(all_):6} {sum(drain.answered for drain in all_):10,} {len(lost):6} "
        f"{sum(drain.refused for drain in all_):8} {median(seconds):8.2f} s {max(seconds):8.2f} s",
        flush=True,
    )
    for how, times in Counter(lost).most_common(5):
        print(f"    {times} times: {how}")
    crashed = [drain for drain in all_ if drain.code or drain.stderr]
    for drain in crashed:
        print(f"    exit code {drain.code}: {drain.stderr}")
    return len(lost) + len(crashed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drains", type=int, default=20)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--model", choices=list(model_modules()), help="only this one")
    asked = parser.parse_args()
    allow_descriptors()
    lost = 0
    print(
        f"{'':28} {'':6} {'drains':>6} {'answered':>10} {'lost':>6} {'refused':>8} {'median':>10} {'slowest':>10}"
    )
    for variant in (variant for variant in VARIANTS if asked.model in (None, variant.model)):
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:28} skipped: {reason}")
        else:
            lost += sum(measure(variant, kind, asked.drains, asked.connections) for kind in KINDS)
    if lost:
        raise SystemExit(f"{lost} lost")


if __name__ == "__main__":
    main()
