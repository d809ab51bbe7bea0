"""The one reactor of a pool is the bottleneck before its workers are."""

from __future__ import annotations

from app.experiments.cells import POOL, plaintext_maximum, work
from app.experiments.checks import bound_result, cannot_test, count_result, finding
from app.experiments.claim import Claim, Count, Finding, Refutation, Retelling, Story
from app.experiments.evidence import Evidence
from app.format import share

OCCUPIED_MIN, STALLED_MAX = 0.90, 0.20
CELL = plaintext_maximum(POOL)
REACTOR_NEED = Count(CELL.key, POOL.name, ("occupied:reactor", "achieved_per_s"), trials=3)
WORKER_NEED = Count(CELL.key, POOL.name, ("occupied:worker", "occupied:reactor", "achieved_per_s"), trials=3)


def check(evidence: Evidence) -> Finding:
    """Read the utilisation of reactor and workers, unless the reactor mostly waits for the GIL."""
    stalled = evidence.shown(CELL.key, POOL.name, "stalled:reactor")
    if stalled and max(stalled) > STALLED_MAX:
        return cannot_test(
            f"The reactor waits for the GIL or a lock in up to {100 * max(stalled):.0f} % of its occupied "
            f"time (limit {100 * STALLED_MAX:.0f} %), so its utilisation is not work."
        )
    reactor = count_result(
        evidence,
        REACTOR_NEED,
        "Utilisation of the reactor",
        f"predicted: at least {100 * OCCUPIED_MIN:.0f} %",
        lambda share: share >= OCCUPIED_MIN,
    )
    pairs = zip(
        evidence.values(CELL.key, POOL.name, "occupied:worker", WORKER_NEED.figures),
        evidence.values(CELL.key, POOL.name, "occupied:reactor", WORKER_NEED.figures),
        strict=False,
    )
    below = [worker - reactor for worker, reactor in pairs]
    workers = bound_result(
        evidence,
        WORKER_NEED,
        below,
        "Utilisation of a worker minus that of the reactor",
        "predicted: below 0",
        lambda difference: difference < 0,
        share,
    )
    return finding([reactor, workers])


CLAIM = Claim(
    id="pool-reactor-limit",
    order=100,
    text="The one reactor in front of a pool is a potential bottleneck.",
    tested_as="plaintext at maximum: the reactor is at least 90 % occupied, and the workers less than it",
    check=check,
    model="reactor-pool",
    cells=(CELL,),
    needs=(REACTOR_NEED, WORKER_NEED),
    shown=("stalled:reactor",),
    cannot_show=("With the GIL, an occupied reactor may wait for it instead of working.",),
    story=Story(
        short="The reactor in front is the limit",
        question="Is the reactor occupied while the workers rest?",
        why=(
            "Every byte of every connection passes through the one reactor. With cheap handlers "
            "it has more to do per request than a worker has. Under a GIL, though, all threads "
            "share one lock, so the workers compete with it."
        ),
        restaurant=Retelling(
            text="The one waiter in front of the cooks becomes the limit.",
            question="Is the waiter always busy while the cooks rest?",
            why=(
                "Every slip and every plate passes through the one waiter. With simple dishes "
                "the waiter has more to do than a cook."
            ),
        ),
    ),
    refute="Make the handlers expensive, such as `--work 'hash 5ms'`: then the workers are the bottleneck.",
    refutations=(
        Refutation(
            "expensive-handlers", "`hash` 5 ms instead of plaintext.", {"work": [work("hash", us=5000)]}
        ),
    ),
)
