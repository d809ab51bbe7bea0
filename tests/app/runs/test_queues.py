"""Full queues: trials of comparisons need no place, and the last place is taken only once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.comparisons.comparisons import ComparisonRequest
from app.errors import Busy
from app.lab import Lab
from app.runs.request import RunRequest
from tests.app.driver import light, run_in_lab


def test_a_trial_of_a_comparison_runs_although_the_queue_of_runs_is_full(
    tmp_path: Path,
) -> None:
    async def play(lab: Lab) -> None:
        lab.runs.jobs.capacity = 0
        with pytest.raises(Busy):
            await lab.runs.submit(RunRequest(model="reactor", plan=light()))
        queued = await lab.comparisons.submit(ComparisonRequest(models=["reactor"], plan=light(), rounds=1))
        ended = await lab.comparisons.finished(queued.id)
        assert (ended.state, ended.failure, len(ended.runs)) == ("finished", None, 1)

    run_in_lab(tmp_path, play)


@pytest.mark.parametrize("kind", ["runs", "comparisons"])
def test_the_last_place_is_taken_only_once(tmp_path: Path, kind: str) -> None:
    async def play(lab: Lab) -> None:
        jobs = lab.runs.jobs if kind == "runs" else lab.comparisons.jobs
        jobs.capacity = 1

        async def submit() -> int:
            if kind == "runs":
                return (await lab.runs.submit(RunRequest(model="reactor", plan=light()))).id
            return (
                await lab.comparisons.submit(ComparisonRequest(models=["reactor"], plan=light(), rounds=1))
            ).id

        one, other = await asyncio.gather(submit(), submit(), return_exceptions=True)
        assert one == 1 and isinstance(other, Busy), (one, other)

    run_in_lab(tmp_path, play)
