"""A thread pool multiplies the throughput where the loop blocks."""

from __future__ import annotations

from app.experiments.cells import CLOSED, REACTOR, work
from app.experiments.checks import bound_result, finding
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Refutation, Retelling, Source, Story
from app.experiments.curve import Curve, Mark, Point
from app.experiments.evidence import Evidence

FACTOR = 9.0
SHARES = (1, 2, 5)  # percent of requests that block
POOL_32 = Entry("reactor-pool", {"workers": 32}, key="reactor-pool workers=32")


def _cell(share: int) -> Cell:
    plan = {
        "executor": CLOSED,
        "vus": 64,
        "work": [work("plaintext", 100 - share), work("sleep", share, ms=50)],
    }
    return Cell(f"slow-{share}", f"{share} % of requests block for 50 ms, maximum", plan, (REACTOR, POOL_32))


def _needs(share: int) -> tuple[Count, ...]:
    return tuple(
        Count(f"slow-{share}", entry.name, ("achieved_per_s",), trials=2) for entry in (REACTOR, POOL_32)
    )


def check(evidence: Evidence) -> Finding:
    """Divide the throughput of the pool by that of the reactor at each share."""
    results = []
    for share in SHARES:
        needs = _needs(share)
        rates = [evidence.values(need.cell, need.entry, "achieved_per_s") for need in needs]
        factors = [of_pool / of_reactor for of_reactor, of_pool in zip(*rates, strict=False)]
        missing = next((need for need, values in zip(needs, rates, strict=True) if not values), needs[0])
        results.append(
            bound_result(
                evidence,
                missing,
                factors,
                f"Throughput of the pool / reactor at {share} % blocking requests",
                f"predicted: at least {FACTOR:g}",
                lambda factor: factor >= FACTOR,
            )
        )
    return finding(results)


def _line(entry: Entry) -> tuple[Point, ...]:
    return tuple(Point(share, f"slow-{share}", entry.name) for share in SHARES)


def claimed(evidence: Evidence) -> Mark | None:
    """Return nine times the throughput of the reactor, and where the pool passes it."""
    reactor = CURVE.medians(evidence, _line(REACTOR))
    pool = dict(CURVE.medians(evidence, _line(POOL_32)))
    if not reactor:
        return None
    factors = {x: pool[x] / rate for x, rate in reactor if x in pool and rate}
    beyond = [f"{x:g} %" for x, factor in factors.items() if factor >= FACTOR]
    shown = ", ".join(f"×{factor:.1f} at {x:g} %" for x, factor in factors.items())
    where = "at every share" if len(beyond) == len(SHARES) else f"at {', '.join(beyond) or 'no share'}"
    note = f"The pool has {shown}: at least ×{FACTOR:g} {where}." if shown else ""
    return Mark(f"claimed: {FACTOR:g} × reactor", tuple((x, FACTOR * rate) for x, rate in reactor), note=note)


CURVE = Curve(
    figure="achieved_per_s",
    x_title="Requests that block for 50 ms, %",
    lines=tuple((entry.name, _line(entry)) for entry in (REACTOR, POOL_32)),
    claimed=claimed,
    log=True,
)
CLAIM = Claim(
    id="pool-9x",
    order=230,
    text="A thread pool gives nine times the performance where the event loop blocks.",
    tested_as="throughput of a pool of 32 workers / reactor, with 1, 2 and 5 % of requests blocking 50 ms: 9",
    check=check,
    source=Source(
        "V. Bartenev, Thread Pools in NGINX Boost Performance 9x! (nginx blog, 2015)",
        "https://blog.nginx.org/blog/thread-pools-boost-performance-9x",
    ),
    model="reactor-pool",
    cells=tuple(map(_cell, SHARES)),
    needs=tuple(need for share in SHARES for need in _needs(share)),
    curve=CURVE,
    cannot_show=("Disk reads, which blocked the loop in the article: here the handler sleeps.",),
    story=Story(
        short="A pool gives nine times",
        question="How many times the throughput has a pool of 32 workers where some requests block?",
        why=(
            "While a request blocks in a reactor, nothing else is served. In a pool of 32, 31 "
            "workers continue. The more requests block, the larger the factor, until all "
            "workers block."
        ),
        restaurant=Retelling(
            text="Cooks bring nine times as many dishes where some take long.",
            question="How many times more dishes do 32 cooks serve if some dishes take long?",
            why="While one waiter watches a slow dish, nobody is served. Of 32 cooks, 31 continue.",
        ),
    ),
    refute="Use one worker (`reactor-pool:workers=1`), or let nothing block.",
    refutations=(
        Refutation(
            "one-worker",
            "One worker instead of 32.",
            entries={POOL_32.name: Entry("reactor-pool", {"workers": 1})},
        ),
        Refutation(
            "no-blocking",
            "No request blocks.",
            {"work": [work("plaintext")]},
            words={f"{share} % blocking": "0 % blocking" for share in SHARES},
        ),
    ),
)
