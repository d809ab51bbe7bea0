"""Tunings that were never executed, for tests of results, pages and the command line."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.schemas.states import JobState, RunState
from app.schemas.tuning import TuningTrial, TuningView
from app.store.tunings import TuningStore
from app.tunings.answer import RULE
from app.tunings.result import compute_result

WORKERS = (1, 2, 4, 8, 16, 32)
# Of a server that needs 16 workers for its best rate, in three rounds; None: void.
RATES: dict[int | str, tuple[float | None, ...]] = {
    1: (49, 49, 50),
    2: (97, 99, 98),
    4: (191, 190, None),
    8: (372, 370, 380),
    16: (742, 720, 735),
    32: (760, 771, 765),
}
VOID = "From 200 req/s on the load generator was the limit; the engine's capacity may be higher."


def trial(value: int, number: int, rate: float | None, **changes: Any) -> TuningTrial:
    """Return the trial of a value in a round; without a rate it is void."""
    made = TuningTrial(
        value=value,
        round=number,
        run=1,
        state=RunState.FINISHED,
        rate_per_s=rate,
        at_least_per_s=None,
        limited_by=None if rate else VOID,
        verdict="Limited by the server",
        cpu_us=1000.0,
        cpus=1,
        why_not=VOID if rate is None else None,
    )
    return replace(made, **changes)


def tuning(rates: dict[int | str, tuple[float | None, ...]] = RATES, **changes: Any) -> TuningView:
    """Return a finished tuning with these rates by value and round, and with its result."""
    runs = [
        trial(value, number, rate)
        for value, own in enumerate(rates.values())
        for number, rate in enumerate(own, 1)
    ]
    made = TuningView(
        id=1,
        state=JobState.FINISHED,
        progress=1.0,
        left_s=None,
        label="a <note>",
        model="reactor-pool",
        model_title="Reactor pool",
        server=None,
        knob="workers",
        unit="threads",
        values=tuple(rates),
        knobs={"queue": 64},
        objective="p(99)<50ms",
        scenario=None,
        plan={"work": [{"kind": "sleep", "weight": 1, "params": {"ms": 20}}]},
        plan_text="64 connections",
        rounds=max(map(len, rates.values())),
        seed=7,
        environment={"kernel": "6.1"},
        runs=tuple(runs),
        current=None,
        result=None,
        failure=None,
        rule=RULE,
        created_at="2026-11-24T12:00:00Z",
        finished_at="2026-11-24T12:06:00Z",
    )
    made = replace(made, **changes)
    return replace(made, result=compute_result(made, (1, 256), made.knobs))


def keep_tunings(data_dir: Path, *views: TuningView) -> None:
    """Store tunings, with ids from 1, in the history of a data directory."""
    with closing(TuningStore(f"sqlite:///{data_dir / 'threadlab.sqlite3'}")) as store:
        store.add_all(views)
