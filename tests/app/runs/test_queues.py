"""Full queues: what still has a place, and that the last place is given once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.comparisons import rounds
from app.errors import Busy
from app.lab import Lab
from app.runs import queue
from tests.app.driver import in_a_lab, light


def test_a_trial_is_run_though_the_queue_of_runs_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> None:
        monkeypatch.setattr(queue, "QUEUE_MAX", 0)
        with pytest.raises(Busy):
            await lab.runs.submit(model="reactor", plan=light())
        made = await lab.comparisons.submit(models=["reactor"], plan=light())
        ended = await lab.comparisons.finished(made.id)
        assert (ended.state, ended.failure, len(ended.runs)) == ("finished", None, 1)

    in_a_lab(tmp_path, play)


@pytest.mark.parametrize("module", [queue, rounds])
def test_the_last_place_is_given_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    async def play(lab: Lab) -> None:
        monkeypatch.setattr(module, "QUEUE_MAX", 1)
        if module is queue:
            both = [lab.runs.submit(model="reactor", plan=light()) for _ in range(2)]
        else:
            both = [lab.comparisons.submit(models=["reactor"], plan=light()) for _ in range(2)]  # type: ignore[misc]
        one, other = await asyncio.gather(*both, return_exceptions=True)
        assert one.id == 1 and isinstance(other, Busy), (one, other)  # type: ignore[union-attr]

    in_a_lab(tmp_path, play)
