"""In a single reactor one slow handler delays all other requests."""

from __future__ import annotations

from app.experiments.cells import OPEN, POOL, REACTOR, work
from app.experiments.checks import check_ratios
from app.experiments.claim import Cell, Claim, Finding, Ratio, Refutation, Retelling, Story
from app.experiments.evidence import Evidence

MARGIN = 2.0
CELL = Cell(
    "slow-handler",
    "400 req/s, 1 % of them sleep 50 ms",
    {
        "executor": OPEN,
        "rate_per_s": 400,
        "spacing": "poisson",
        "vus": 64,
        "duration_s": 3,
        "work": [work("plaintext", 99), work("sleep", 1, ms=50)],
    },
    (REACTOR, POOL),
)
NEEDS = (Ratio(CELL.key, REACTOR.name, POOL.name, "plaintext.p99_us", MARGIN),)


def check(evidence: Evidence) -> Finding:
    """Compare the p99 of the fast requests."""
    return check_ratios(evidence, NEEDS)


CLAIM = Claim(
    id="reactor-stalls",
    order=60,
    text="A reactor handles events in sequence, so one slow handler delays all connections.",
    tested_as="p99 of plaintext beside 1 % of requests that sleep 50 ms: at least twice the pool's",
    check=check,
    model="reactor",
    cells=(CELL,),
    needs=NEEDS,
    cannot_show=(
        "How the delay grows with the load: 400 req/s keep the reactor a fifth busy with sleeping.",
    ),
    story=Story(
        short="One slow request delays all",
        question="How much longer do fast requests wait on a reactor than on a pool?",
        why=(
            "The reactor calls the handler in its event loop. While the handler sleeps, "
            "epoll_wait() is not called, and requests stay in the socket buffers. In the pool "
            "the loop only queues the request; one worker sleeps, the others continue."
        ),
        restaurant=Retelling(
            text="One waiter who also cooks serves in turn, so one slow dish delays all tables.",
            question=(
                "How much longer do fast orders wait with one waiter than with a waiter and four cooks?"
            ),
            why=(
                "The only waiter stands at the oven until the slow dish is done, so nobody "
                "takes new orders. With cooks, the waiter hands over a slip and goes on; one "
                "cook stands at the oven, the others continue."
            ),
        ),
    ),
    refute="Let the slow handler block elsewhere: give the reactor no slow requests, `--work plaintext`.",
    refutations=(Refutation("nothing-slow", "No request sleeps.", {"work": [work("plaintext")]}),),
)
