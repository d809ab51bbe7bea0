"""Twenty drains of every engine under load: 64 connections that are kept alive, or opened for each request.

    python -m tests.bench.drains [--drains 20] [--connections 64] [--model reactor]

A request is lost if its client must assume that the engine accepted it, and the response is missing or
incomplete. A connection is refused if it is opened after the signal. The time is from the signal to the exit
of the process, including the 0.1 s for which idle connections are kept. Exit code 1 if a request is lost or
an engine crashes.
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


def drain_once(variant: Variant, kind: str, connections: int, seed: int) -> Drained:
    with running(variant) as engine:
        return KINDS[kind](engine, connections, seed)


def measure(variant: Variant, kind: str, drains: int, connections: int) -> int:
    """Print one line. Return the number of lost requests and crashes."""
    drains_done = [drain_once(variant, kind, connections, seed) for seed in range(drains)]
    seconds = [drain.seconds for drain in drains_done]
    lost = [how for drain in drains_done for how in drain.lost]
    answered = sum(drain.answered for drain in drains_done)
    refused = sum(drain.refused for drain in drains_done)
    print(
        f"{variant.name:28} {kind:6} {len(drains_done):6} {answered:10,} {len(lost):6} {refused:8} "
        f"{median(seconds):8.2f} s {max(seconds):8.2f} s",
        flush=True,
    )
    for how, times in Counter(lost).most_common(5):
        print(f"    {times} times: {how}")
    crashed = [drain for drain in drains_done if drain.code or drain.stderr]
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
    args = parser.parse_args()
    allow_descriptors()
    lost = 0
    print(
        f"{'':28} {'':6} {'drains':>6} {'answered':>10} {'lost':>6} {'refused':>8} "
        f"{'median':>10} {'slowest':>10}"
    )
    for variant in (variant for variant in VARIANTS if args.model in (None, variant.model)):
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:28} skipped: {reason}")
        else:
            lost += sum(measure(variant, kind, args.drains, args.connections) for kind in KINDS)
    if lost:
        raise SystemExit(f"{lost} lost")


if __name__ == "__main__":
    main()
