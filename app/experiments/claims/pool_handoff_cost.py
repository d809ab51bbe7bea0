"""Handing requests from the reactor to workers costs CPU."""

from __future__ import annotations

from app.experiments.cells import POOL, REACTOR, plaintext_rate, work
from app.experiments.checks import finding, ratio_result, shown
from app.experiments.claim import Claim, Finding, Ratio, Refutation, Retelling, Story
from app.experiments.evidence import Evidence

CELL = plaintext_rate(REACTOR, POOL)
RATIO = Ratio(CELL.key, POOL.name, REACTOR.name, "cpu_us")


def check(evidence: Evidence) -> Finding:
    """Compare CPU per request; show switches and queue operations."""
    beside = shown(evidence, CELL.key, (REACTOR.name, POOL.name), "switches", "handoffs")
    return finding([ratio_result(evidence, RATIO)], *beside)


CLAIM = Claim(
    id="pool-handoff-cost",
    order=90,
    text="Sharing data between the threads of a pool costs time.",
    tested_as=(
        "CPU per request of plaintext at an equal rate: the pool's is at least 1.10 times the reactor's"
    ),
    check=check,
    model="reactor-pool",
    cells=(CELL,),
    needs=(RATIO,),
    shown=("switches", "handoffs"),
    cannot_show=("Which part is the queue, the wake-up or the GIL: all are in the CPU time.",),
    story=Story(
        short="A hand-off costs CPU time",
        question="How much more CPU time does a request cost in a pool than in a reactor?",
        why=(
            "Each request goes through a queue: the reactor puts it in and wakes a worker, the "
            "worker takes it out. Both steps and the context switch cost CPU time, which shows "
            "most where the handler does little."
        ),
        restaurant=Retelling(
            text="Passing slips between waiter and cooks takes work.",
            question="How much more work is a glass of water if a waiter orders it from a cook?",
            why=(
                "The waiter writes a slip and calls a cook, the cook reads it. For a glass of "
                "water the slip is most of the work."
            ),
        ),
    ),
    refute="Let the handler work longer, such as `--work 'hash 1ms'`: the hand-off disappears beside it.",
    refutations=(
        Refutation(
            "longer-work",
            "400 req/s of `hash` 1 ms instead of plaintext.",
            {"rate_per_s": 400, "work": [work("hash", us=1000)]},
        ),
    ),
)
