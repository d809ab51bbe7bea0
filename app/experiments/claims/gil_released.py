"""With work that releases the GIL, pools use the cores."""

from __future__ import annotations

from app.experiments.cells import BLOCKING, MAIN_SUB, POOL, PROACTOR, REACTOR, hash_shared, work
from app.experiments.checks import finding, ratio_result
from app.experiments.claim import Claim, Finding, Ratio, Refutation, Retelling, Source, Story
from app.experiments.evidence import Evidence
from app.schemas.states import Answer

CELL = hash_shared(REACTOR, BLOCKING, POOL, MAIN_SUB, PROACTOR)
NEEDS = tuple(
    Ratio(CELL.key, entry.name, REACTOR.name, "achieved_per_s", 1.3) for entry in (BLOCKING, POOL, MAIN_SUB)
)
CONTROL = Ratio(CELL.key, PROACTOR.name, REACTOR.name, "achieved_per_s", None)


def check(evidence: Evidence) -> Finding:
    """Compare throughput; the proactor, which has one thread as well, is the control."""
    control = ratio_result(evidence, CONTROL)
    expected = control.answer in (Answer.HOLDS, Answer.LEANS_HOLDS)
    note = "as expected of one thread" if expected else "although it has one thread, too"
    return finding([ratio_result(evidence, need) for need in NEEDS], f"Control, {note}: {control.sentence}")


CLAIM = Claim(
    id="gil-released",
    order=210,
    text="With work that releases the GIL, models with several threads use the cores.",
    tested_as=(
        "throughput of work that releases the GIL on all CPUs: blocking, pool and main-sub reach at least"
        " 1.3 times the reactor's; the proactor is the control"
    ),
    check=check,
    source=Source("D. Beazley, Understanding the Python GIL (2010)", "https://www.dabeaz.com/GIL/"),
    cells=(CELL,),
    needs=(*NEEDS, CONTROL),
    shown=("cores_used",),
    cannot_show=("More cores than this machine has.",),
    story=Story(
        short="Work that releases the GIL scales",
        question=("How much more throughput have models with several threads, if the work releases the GIL?"),
        why=(
            "Hashing runs in C without the GIL, so several threads compute at once. Models with "
            "one thread gain nothing."
        ),
        restaurant=Retelling(
            text="Dishes that need no stove scale with the cooks.",
            question="How many more dishes do several cooks serve if none needs the stove?",
            why=(
                "Salads need no stove, so all cooks work at once. A waiter who also cooks has only two hands."
            ),
        ),
    ),
    refute="Let the work hold the GIL: `--work 'cpu 1ms'`.",
    refutations=(
        Refutation(
            "gil-held",
            "`cpu` 1 ms, which holds the GIL, instead of `hash`.",
            {"work": [work("cpu", us=1000)]},
        ),
    ),
)
